from __future__ import annotations

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from lmm_r1.cli.command_line import overrides_in, parse_overrides, sweep_jobs
from lmm_r1.cli.paths import CONFIG_FOLDER
from lmm_r1.errors import UserError


@pytest.fixture
def loader():
    with initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
        yield GlobalHydra.instance().config_loader()


def test_flags_and_their_values_are_not_overrides():
    assert overrides_in(["-m", "stage=fre,mgt", "~reward.terms.format"]) == ["stage=fre,mgt", "~reward.terms.format"]
    assert overrides_in(["--cfg", "job", "stage=fre", "--package", "trainer"]) == ["stage=fre"]


@pytest.mark.parametrize("argument", ["fre", "--stage=fre"])
def test_what_is_not_written_as_key_and_value_is_named(argument):
    with pytest.raises(UserError, match=f"^{argument}: settings are written"):
        overrides_in([argument])


def test_an_override_that_cannot_be_read_is_named():
    with pytest.raises(UserError, match=r"^seed=\[1: cannot be read"):
        parse_overrides(["stage=fre", "seed=[1"])


def test_a_multirun_keeps_the_order_that_was_written(loader):
    jobs = sweep_jobs(["stage=fre,mgt", "trainer.steps=3", "seed=2,1"], loader)
    assert jobs == [
        ["stage=fre", "trainer.steps=3", "seed=2"],
        ["stage=fre", "trainer.steps=3", "seed=1"],
        ["stage=mgt", "trainer.steps=3", "seed=2"],
        ["stage=mgt", "trainer.steps=3", "seed=1"],
    ]


def test_a_multirun_knows_ranges_and_patterns(loader):
    assert sweep_jobs(["seed=range(1,4)"], loader) == [["seed=1"], ["seed=2"], ["seed=3"]]
    assert [job[0] for job in sweep_jobs(["ablation=glob(mgt_*)"], loader)] == [
        "ablation=mgt_domain_chain",
        "ablation=mgt_domain_shape",
    ]


def test_a_list_is_one_value_and_an_interval_is_none(loader):
    assert sweep_jobs(["dataset.families=[grid,count]"], loader) == [["dataset.families=[grid,count]"]]
    with pytest.raises(UserError, match="one by one"):
        sweep_jobs(["algorithm.kl_coef=interval(0,1)"], loader)
