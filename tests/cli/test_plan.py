"""`plan=…` on the command line."""

from __future__ import annotations

import pytest

from lmm_r1.cli.composition import compose_config, plain
from lmm_r1.cli.plan import asks_for_a_plan, check_plan
from lmm_r1.errors import UserError


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (["plan=h2000"], "h200"),
        (["plan=7"], "plan=7"),
        (["plan=true", "resume=latest"], "resume"),
        (["plan=true", "stage=sft"], "stage=fre"),
        (["expected.prompt_tokens=0"], "expected.prompt_tokens"),
        (["expected.completion_tokens=0"], "expected.completion_tokens"),
    ],
)
def test_what_cannot_be_planned_is_named(overrides, named):
    with pytest.raises(UserError, match=named):
        check_plan(plain(compose_config("train", overrides)))


def test_only_a_plan_asks_for_a_plan():
    assert asks_for_a_plan(["stage=fre", "plan=h200"]) and asks_for_a_plan(["plan=true"])
    assert not asks_for_a_plan(["stage=fre"]) and not asks_for_a_plan(["plan=false"])
    assert not asks_for_a_plan(["plan=true", "plan=null"])


@pytest.mark.slow
def test_a_plan_is_printed_and_nothing_is_written(run_script, tmp_path):
    outcome = run_script("train.py", "experiment=fre_text", "plan=h100", folder=tmp_path)
    assert outcome.code == 0, outcome.error
    assert "3.09 G" in outcome.out and "669 M" in outcome.out and "DOES NOT FIT" in outcome.out
    assert "vllm" not in outcome.heavy
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_mistake_in_a_plan_ends_in_one_line(run_script, tmp_path):
    for arguments in (["plan=h2000"], ["plan=true", "rollout.samples=1"], ["plan=true", "dataset.pth=x"]):
        outcome = run_script("train.py", *arguments, folder=tmp_path)
        assert outcome.code == 2 and outcome.error.startswith("error: ") and outcome.heavy == []
    assert list(tmp_path.iterdir()) == []
