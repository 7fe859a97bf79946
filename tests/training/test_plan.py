"""Laws of the plan of a run."""

from __future__ import annotations

import pytest
from hydra.utils import instantiate

from lmm_r1.cli.composition import compose_config, plain
from lmm_r1.cli.paths import register_resolvers
from lmm_r1.cli.plan import DEVICES, OPTIONAL, lines_of
from lmm_r1.models.devices import GPUS
from lmm_r1.training.distributed import MESSAGE_BYTES
from lmm_r1.training.plan import Plan, make_plan

PAPER = "experiment=fre_text"


def plan_of(*overrides: str, device: str = "h200", data=None) -> Plan:
    register_resolvers()
    config = plain(compose_config("train", overrides, optional=OPTIONAL))
    built = [instantiate(config[group], _convert_="all") for group in ("model", "algorithm", "rollout", "trainer")]
    return make_plan(GPUS[device], *built, instantiate(config["expected"]), data)


def test_the_command_line_knows_the_devices_of_the_table():
    assert set(DEVICES) == {"cpu", *GPUS}


def test_ppo_with_a_critic_of_its_own_does_not_fit_one_gpu_and_the_plan_says_what_to_do():
    plan = plan_of(PAPER, "trainer.devices=1")
    assert not plan.fits
    text = "\n".join(lines_of(plan))
    assert "DOES NOT FIT" in text and "algorithm.critic.own_model=false" in text
    without = plan_of(PAPER, "trainer.devices=1", "algorithm=grpo", "algorithm.kl_coef=0")
    assert without.fits and without.memory["critic"] == without.memory["reference"] == 0
    assert "DOES NOT FIT" not in "\n".join(lines_of(without))


def test_the_paper_s_first_row_fits_eight_gpus_of_141_gb():
    assert plan_of(PAPER).fits


def test_adapters_fit_where_all_weights_do_not():
    assert not plan_of(PAPER, device="h100").fits
    assert plan_of(PAPER, "model=qwen2_5_vl_3b_lora", device="h100").fits


def test_adapters_and_all_that_goes_with_them_are_float32_on_weights_of_either_kind():
    lora = (PAPER, "model=qwen2_5_vl_3b_lora", "algorithm=grpo", "trainer.devices=1")
    full, half = plan_of(*lora), plan_of(*lora, "model.dtype=bfloat16")
    adapters = 4 * full.counts.adapters
    assert full.memory["weights"] == 4 * full.counts.model + adapters
    assert half.memory["weights"] == 2 * full.counts.model + adapters
    assert full.memory["gradients"] == half.memory["gradients"] == adapters
    assert full.memory["optimiser"] == half.memory["optimiser"] == 2 * adapters


def test_processes_share_the_moments_and_nothing_else():
    one, eight = plan_of(PAPER, "trainer.devices=1"), plan_of(PAPER, "trainer.devices=8")
    assert one.memory["optimiser"] == 2 * one.memory["weights"] == 8 * eight.memory["optimiser"]
    assert one.memory["critic"] - eight.memory["critic"] == one.memory["optimiser"] - eight.memory["optimiser"]
    assert one.memory["gradients"] == eight.memory["gradients"] - MESSAGE_BYTES
    for part in ("weights", "reference", "logits", "engine weights"):
        assert one.memory[part] == eight.memory[part]


def test_memory_is_what_the_settings_make_it():
    plan = plan_of(PAPER, "algorithm=grpo", "algorithm.kl_coef=0.01")
    assert plan.memory["weights"] == plan.memory["reference"] == plan.counts.model * 4
    assert plan.memory["engine weights"] == plan.counts.model * 2
    small = plan_of(PAPER, "algorithm=grpo", "algorithm.micro_batch_tokens=2048", "rollout.max_new_tokens=512")
    large = plan_of(PAPER, "algorithm=grpo", "algorithm.micro_batch_tokens=8192", "rollout.max_new_tokens=512")
    assert small.memory["activations"] < large.memory["activations"]


def test_a_pass_that_is_not_made_is_not_counted():
    bare = plan_of("algorithm=grpo")
    assert set(bare.flops) == {"policy"}
    assert set(plan_of("algorithm=grpo", "algorithm.kl_coef=0.01").flops) == {"policy", "reference"}
    assert set(plan_of("algorithm=grpo", "algorithm.mini_batches=2").flops) == {"policy", "old"}
    assert set(plan_of("algorithm=ppo").flops) == {"policy", "old", "reference", "critic"}
    twice = plan_of("algorithm=grpo", "algorithm.inner_epochs=2")
    assert twice.flops["policy"] == 2 * bare.flops["policy"]


def test_twice_the_prompts_take_twice_the_operations():
    once, twice = plan_of("trainer.prompts_per_step=32"), plan_of("trainer.prompts_per_step=64")
    assert twice.flops["policy"] == 2 * once.flops["policy"]
    assert twice.memory["weights"] == once.memory["weights"]


def test_prompts_are_measured_where_they_can_be_read():
    register_resolvers()
    config = plain(compose_config("train", ["stage=mgt"]))
    measured = plan_of("stage=mgt", data=instantiate(config["dataset"]["train"], _convert_="all"))
    assert measured.lengths.source == "measured on 64 problems"
    assert 0 < measured.lengths.image < measured.lengths.prompt
    assumed = plan_of("stage=mgt", "expected.prompt_tokens=50", "expected.image_tokens=16")
    assert (assumed.lengths.prompt, assumed.lengths.image) == (66, 16)
    # As many patches as the images' tokens stand for.
    assert assumed.shape.patches == pytest.approx(64 * len(assumed.shape.prompts))
