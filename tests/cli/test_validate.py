from __future__ import annotations

from copy import deepcopy
from functools import cache, reduce
from operator import getitem
from typing import Any

import pytest
import yaml

from lmm_r1.cli import validate
from lmm_r1.cli.composition import compose_config, plain
from lmm_r1.cli.validate import validate_evaluation, validate_training
from lmm_r1.errors import UserError


@cache
def composed(name: str, choices: tuple[str, ...]) -> dict[str, Any]:
    return plain(compose_config(name, choices))


def configured(name: str, *overrides: str) -> dict[str, Any]:
    """A composed configuration with values set by hand: quicker than composing for each."""
    config = deepcopy(composed(name, tuple(word for word in overrides if "." not in word and "=" in word)))
    for override in overrides:
        key, value = override.split("=", 1)
        *path, last = key.split(".")
        if path:
            reduce(getitem, path, config)[last] = yaml.safe_load(value)
    return config


def training_message(*overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        validate_training(configured("train", *overrides))
    return str(caught.value)


def evaluation_message(*overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        validate_evaluation(configured("eval", *overrides))
    return str(caught.value)


@pytest.mark.parametrize(
    "overrides",
    [
        ["rollout.samples=1"],
        ["rollout.temperature=0"],
        ["rollout.validation_samples=2"],
        ["rollout.max_new_tokens=5000"],
        ["rollout.engine.dtype=float16"],
        ["algorithm.mini_batches=7"],
        ["algorithm.learning_rate=-1.0e-5"],
        ["algorithm.learning_rate=0"],
        ["algorithm.kl_coef=-0.1"],
        ["algorithm.schedule=linear"],
        ["algorithm.warmup_ratio=2"],
        ["algorithm.loss.clip_low=0"],
        ["algorithm.betas=[0.9]"],
        ["algorithm.betas=[0.9,1.0]"],
        ["trainer.prompts_per_step=0"],
        ["trainer.prompts_per_step=7", "trainer=ddp_cpu"],
        ["trainer.validate_every=-1"],
        ["trainer.keep_checkpoints=0"],
        ["trainer.steps=null"],
        ["trainer.threads=0"],
        ["trainer.precision=bf16-true"],
        ["trainer.precision=64"],
        ["trainer.accelerator=cuda"],
        ["model.dtype=float16"],
        ["model.min_pixels=10000", "model.max_pixels=5000"],
        ["model.attention=flex_attention"],
        ["model.attention=flash"],
        ["model.lora.rank=0", "model=tiny_lora"],
        ["model.lora.dropout=1.0", "model=tiny_lora"],
        ["reward.weights.accuracy=null"],
        ["dataset.families=[gird]"],
        ["dataset.renderings=[]"],
        ["dataset.difficulty=[5,2]"],
        ["dataset.difficulty=[2,hard]"],
        ["dataset.size=8"],
        ["dataset.validation_size=0"],
        ["seed=-1"],
        ["init_from=latest_fre", "stage=fre"],
        ["init_from=3", "stage=fre"],
    ],
    ids=" ".join,
)
def test_an_impossible_setting_is_named(overrides):
    key = overrides[0].partition("=")[0]
    assert key in training_message(*overrides).partition(":")[0]


def test_contradictory_settings_name_both_sides():
    assert "trainer.devices=2" in training_message("trainer.prompts_per_step=7", "trainer=ddp_cpu")
    assert "model.max_pixels=5000" in training_message("model.min_pixels=10000", "model.max_pixels=5000")
    assert "model.dtype=float32" in training_message("trainer.precision=bf16-true")
    assert "rollout.engine.max_model_len" in training_message("rollout.max_new_tokens=5000")
    assert "256 completions" in training_message("algorithm.mini_batches=7")
    assert "128 completions" in training_message("algorithm.mini_batches=7", "trainer=ddp_cpu")


def test_nothing_to_learn_from_is_refused():
    assert "every weight is 0" in training_message("reward.weights.accuracy=0", "reward.weights.format=0")


def test_a_data_set_must_fit_its_stage():
    assert "dataset=synthetic_traces" in training_message("stage=sft", "dataset=synthetic_text")
    assert "dataset=synthetic_text" in training_message("stage=fre", "dataset=synthetic_traces")


def test_the_warm_start_does_not_pretend_to_read_a_model():
    assert "sft.build=null" in training_message("stage=sft", "model.path=some/folder")
    validate_training(configured("train", "stage=sft", "model.path=some/folder", "sft.build=null"))


def test_an_ablation_is_refused_in_a_stage_that_it_does_not_touch():
    assert training_message("stage=fre", "ablation=direct_rl").startswith(
        "stage=fre: this ablation is one of stage=mgt"
    )
    validate_training(configured("train", "ablation=direct_rl"))


def test_rows_are_not_both_learnt_and_held_out():
    local = plain(compose_config("train", ["dataset=local", "dataset.path=problems.jsonl"]))
    validate_training(local)
    local["dataset"]["train_start"] = 10
    with pytest.raises(UserError, match=r"dataset\.train_start=10: the first \d+ rows"):
        validate_training(local)
    local["dataset"]["validation_path"] = "other.jsonl"
    validate_training(local)


@pytest.mark.parametrize(
    "overrides", [["samples=2"], ["samples=0"], ["temperature=-1"], ["batch_size=0"], ["resume=a", "rescore=b"]]
)
def test_an_impossible_evaluation_is_named(overrides):
    assert overrides[0].partition("=")[0] in evaluation_message(*overrides)


def test_the_words_that_are_checked_early_are_the_ones_that_exist():
    from lmm_r1.data.synthetic import FAMILIES
    from lmm_r1.models.loading import DTYPES
    from lmm_r1.types import RENDERINGS

    assert set(validate.FAMILIES) == set(FAMILIES)
    assert validate.RENDERINGS == RENDERINGS
    assert set(validate.DTYPES) == set(DTYPES)
