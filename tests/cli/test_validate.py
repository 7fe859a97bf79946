from __future__ import annotations

import re
from copy import deepcopy
from functools import cache, reduce
from operator import getitem
from typing import Any

import pytest
import yaml

from lmm_r1.cli import validate, validate_algorithm
from lmm_r1.cli.composition import compose_config, plain
from lmm_r1.cli.paths import CONFIG_FOLDER
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
        ["rollout.temperature=0.009"],
        ["rollout.temperature=2.1"],
        ["rollout.validation_temperature=0.001"],
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
        ["algorithm.name=null"],
        ["algorithm.entropy_coef=-1"],
        ["algorithm.resampling_rounds=-1"],
        ["algorithm.advantage_of=term"],
        ["algorithm.advantage_of=terms"],
        ["algorithm.correction=token_truncated"],
        ["algorithm.correction.cap=0", "correction=token_truncated"],
        ["algorithm.correction.low=4", "correction=sequence_masked"],
        ["algorithm.kl_in=rewards"],
        ["algorithm.kl_in=reward"],
        ["algorithm.kl_coef=0", "kl_control=adaptive"],
        ["algorithm.kl_control.horizon=51", "algorithm.kl_coef=0.1", "kl_control=adaptive"],
        ["trainer.max_skipped_steps=0"],
        ["algorithm.estimator.gamma=1.5", "algorithm=reinforce_pp"],
        ["algorithm.estimator.lam=-1", "algorithm=ppo"],
        ["algorithm.critic.learning_rate=0", "algorithm=ppo"],
        ["algorithm.critic.own_model=1", "algorithm=ppo"],
        ["algorithm.critic.clip=0", "algorithm=ppo"],
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
        ["trainer.precision=16-mixed"],
        ["trainer.precision=bf16-mixed", "model.dtype=bfloat16"],
        ["trainer.precision=bf16-true", "model=tiny_lora"],
        ["trainer.accelerator=cuda"],
        ["model.dtype=float16"],
        ["model.min_pixels=10000", "model.max_pixels=5000"],
        ["model.attention=flex_attention"],
        ["model.attention=flash"],
        ["model.lora.rank=0", "model=tiny_lora"],
        ["model.lora.dropout=1.0", "model=tiny_lora"],
        ["reward.weights.accuracy=null"],
        ["reward.combination=gate"],
        ["reward.terms.soft_overlong.cache_share=0", "shaping=soft_overlong"],
        ["reward.terms.cosine.max_tokens=0", "shaping=cosine"],
        ["reward.terms.repetition.ngram=0", "shaping=repetition"],
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
    message = training_message("trainer.precision=bf16-mixed", "model.dtype=bfloat16")
    assert "model.dtype=bfloat16; only under adapters (model.lora)" in message
    assert "rollout.engine.max_model_len" in training_message("rollout.max_new_tokens=5000")
    assert "256 completions" in training_message("algorithm.mini_batches=7")
    assert "128 completions" in training_message("algorithm.mini_batches=7", "trainer=ddp_cpu")


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["~reward.terms.format"], "reward.weights.format: there is no term reward.terms.format"),
        (["~reward.weights.format"], "reward.weights.format is missing"),
        (["+reward.terms.brevity={_target_: some.term}"], "reward.weights.brevity is missing"),
        (["reward.combination=gated", "~reward.terms.format", "~reward.weights.format"], "needs the term format"),
    ],
)
def test_every_term_has_a_weight_and_every_weight_a_term(overrides, expected):
    config = plain(compose_config("train", overrides))
    with pytest.raises(UserError, match=expected):
        validate_training(config)


def test_values_without_a_critic_and_a_critic_without_a_reader_are_refused():
    assert "needs values; give it a critic" in training_message("algorithm=ppo", "algorithm.critic=null")
    message = training_message("algorithm=ppo", "algorithm.estimator=null", "algorithm.kl_in=loss")
    assert message.startswith("algorithm.critic: nothing looks at its values")


def test_one_action_has_no_advantages_of_tokens():
    loss = "lmm_r1.algorithms.losses.single_action_surrogate"
    message = training_message("algorithm=reinforce_baseline", f"algorithm.loss._target_={loss}")
    assert message.startswith("algorithm.loss: single_action_surrogate has one advantage a completion")


def test_terms_are_not_compared_behind_a_gate():
    config = configured("train", "algorithm=gdpo")
    validate_training(config)
    config["reward"]["combination"] = "gated"
    with pytest.raises(UserError, match="combination=gated would have no effect"):
        validate_training(config)


@pytest.mark.parametrize("key", ["rollout.top_p", "rollout.top_k", "rollout.engine.min_p"])
def test_sampling_that_would_bias_the_ratio_is_refused(key):
    """On the command line, whatever the sign in front, and in a file of one's own."""
    for override in (f"{key}=0.9", f"+{key}=0.9", f"++{key}=0.9"):
        with pytest.raises(UserError, match=rf"^{key}: would draw from another distribution"):
            compose_config("train", [override])
    assert training_message(f"{key}=0.9").startswith(f"{key}: would draw from another distribution")


def test_no_option_of_the_rollout_has_such_a_setting():
    for file in (CONFIG_FOLDER / "rollout").glob("*.yaml"):
        assert not set(validate_algorithm.BIASED_SAMPLING) & set(re.findall(r"(\w+):", file.read_text()))


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
    ("key", "value"),
    [
        ("answer_type", "maths"),
        ("answer_type", "actions"),
        ("relative_tolerance", -0.1),
        ("absolute_tolerance", "wide"),
        ("percent", "both"),
        ("iou_threshold", 0),
    ],
)
def test_rules_of_a_file_without_sense_are_named(key, value):
    local = plain(compose_config("train", ["dataset=local", "dataset.path=problems.jsonl"]))
    local["dataset"][key] = value
    with pytest.raises(UserError, match=key if value != "actions" else r"dataset\.simulator"):
        validate_training(local)


def test_a_judge_of_ones_own_is_no_slip():
    local = plain(compose_config("train", ["dataset=local", "dataset.path=problems.jsonl"]))
    local["dataset"]["answer_type"] = "my_answers.judge_roman"
    validate_training(local)


@pytest.mark.parametrize(
    "overrides",
    [
        ["samples=2"],
        ["samples=0"],
        ["temperature=-1"],
        ["temperature=5e-3"],
        ["batch_size=0"],
        ["images=none"],
        ["resume=a", "rescore=b"],
    ],
)
def test_an_impossible_evaluation_is_named(overrides):
    assert overrides[0].partition("=")[0] in evaluation_message(*overrides)


def test_the_words_that_are_checked_early_are_the_ones_that_exist():
    from lmm_r1.data.synthetic import FAMILIES
    from lmm_r1.models.loading import DTYPES
    from lmm_r1.rollout.engine import TEMPERATURES
    from lmm_r1.types import RENDERINGS

    assert set(validate.FAMILIES) == set(FAMILIES)
    assert validate.RENDERINGS == RENDERINGS
    assert set(validate.DTYPES) == set(DTYPES)
    assert validate_algorithm.TEMPERATURES == TEMPERATURES
