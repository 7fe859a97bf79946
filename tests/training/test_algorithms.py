"""Laws that every algorithm of `conf/algorithm` keeps."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from lmm_r1.algorithms.correction import sequence_masked, token_truncated
from lmm_r1.models.loading import LoraSettings, load_policy
from tests.training.updating import (
    configured,
    difference,
    experience_of,
    module_of,
    settings,
    take_steps,
    trainer_of,
)

OF_TOKENS = ("reinforce_baseline", "ppo", "gspo", "rloo")
"""Those whose losses look beyond a token or whose advantages look beyond a completion."""
ONE_STEP = {"mini_batches": 1, "inner_epochs": 1, "schedule": "constant", "warmup_ratio": 0.0}


def on_policy_settings(name: str, **changes):
    return configured(name, **ONE_STEP, **({"learning_rate": 1e-3, "max_grad_norm": 1e9} | changes))


@pytest.mark.parametrize("name", OF_TOKENS)
def test_the_gradient_does_not_depend_on_the_micro_batches(random_model, processor, banned, make_groups, name):
    taken = []
    for size in (10_000, 150):
        algorithm = on_policy_settings(name, micro_batch_tokens=size)
        experience = experience_of(make_groups(2, 3), processor, algorithm)
        taken.append(take_steps(module_of(random_model, algorithm, banned), experience))
    for first, second in zip(*taken, strict=True):
        assert difference(first, second) < 1e-5


@pytest.mark.parametrize("name", OF_TOKENS)
def test_the_gradient_depends_neither_on_the_order_of_groups_nor_on_padding(
    random_model, processor, banned, make_groups, name
):
    algorithm, stored = on_policy_settings(name), make_groups(2, 3)
    first = take_steps(module_of(random_model, algorithm, banned), experience_of(stored, processor, algorithm))
    experience = experience_of(stored[::-1], processor, algorithm)
    padding = torch.zeros(len(experience), 3)
    experience.completion_ids = torch.cat([experience.completion_ids, padding.long() + 33], dim=1)
    experience.completion_mask = torch.cat([experience.completion_mask, padding.bool()], dim=1)
    experience.sampler_logprobs = torch.cat([experience.sampler_logprobs, padding - 50], dim=1)
    second = take_steps(module_of(random_model, algorithm, banned), experience)
    for left, right in zip(first, second, strict=True):
        assert difference(left, right) < 1e-5


def passes(random_model, processor, banned, make_groups, algorithm) -> dict[str, int]:
    """Forward passes of one RL step in one micro-batch each, by model."""
    module = module_of(random_model, algorithm, banned)
    counts = {"policy": 0, "reference": 0, "critic": 0}

    def count(name):
        def hook(*_):
            counts[name] += 1

        return hook

    module.policy.model.language_model.register_forward_hook(count("policy"))
    if module._reference[0] is not None:
        module._reference[0].model.language_model.register_forward_hook(count("reference"))
    if algorithm.critic:
        module.critic.register_forward_hook(count("critic"))
    take_steps(module, experience_of(make_groups(2, 3), processor, algorithm))
    return counts


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("grpo", {}, {"policy": 1}),
        ("grpo", {"mini_batches": 2}, {"policy": 1 + 2}),
        ("grpo", {"mini_batches": 2, "inner_epochs": 3}, {"policy": 1 + 6}),
        ("grpo", {"kl_coef": 0.01}, {"policy": 1, "reference": 1}),
        ("reinforce_baseline", {"kl_coef": 0.0}, {"policy": 1}),
        # A penalty in the reward is one of the policy before the update.
        ("reinforce_baseline", {}, {"policy": 1 + 1, "reference": 1}),
        ("ppo", {"kl_coef": 0.0}, {"policy": 1, "critic": 1 + 1}),
        ("ppo", {"mini_batches": 2}, {"policy": 1 + 2, "reference": 1, "critic": 1 + 2}),
    ],
)
def test_no_pass_is_made_that_nobody_needs(random_model, processor, banned, make_groups, name, changes, expected):
    algorithm = configured(name, **(ONE_STEP | {"micro_batch_tokens": 10_000} | changes))
    counts = passes(random_model, processor, banned, make_groups, algorithm)
    assert counts == {"policy": 0, "reference": 0, "critic": 0} | expected


def test_sixteen_steps_of_a_rollout_are_taken_as_in_the_paper(random_model, processor, banned, make_groups):
    algorithm = configured("lmm_r1_released")
    assert (algorithm.mini_batches, algorithm.inner_epochs) == (16, 1)
    module = module_of(random_model, algorithm, banned, optimiser_steps=16)
    taken = take_steps(module, experience_of(make_groups(8, 4), processor, algorithm))
    assert len(taken) == 16


def test_a_penalty_in_the_reward_acts_where_all_rewards_are_equal(random_model, processor, banned, make_groups):
    stored = make_groups(2, 3)
    for group in stored:
        group.scores = [group.scores[0]] * len(group.scores)
    policy = load_policy(str(random_model), "float32")
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.mul_(1.05)
    algorithm = on_policy_settings("reinforce_baseline", kl_coef=1.0)
    module = module_of(random_model, algorithm, banned, policy=policy)
    experience = experience_of(stored, processor, algorithm)
    assert not experience.advantages.any()
    (gradient,) = take_steps(module, experience)
    assert any(tensor.any() for tensor in gradient.values())
    assert module.metrics["policy/kl"] != 0


def test_an_entropy_bonus_raises_the_entropy(random_model, processor, banned, make_groups):
    stored = make_groups(2, 3)
    for group in stored:
        group.scores = [group.scores[0]] * len(group.scores)
    entropies = {}
    for coefficient in (0.0, 0.1):
        algorithm = settings(entropy_coef=coefficient, learning_rate=1e-4)
        module = module_of(random_model, algorithm, banned, optimiser_steps=2)
        experience = experience_of(stored, processor, algorithm)
        take_steps(module, experience)
        entropies[coefficient] = [module.metrics["policy/entropy"]]
        take_steps(module, experience)
        entropies[coefficient].append(module.metrics["policy/entropy"])
    assert entropies[0.0][0] == pytest.approx(entropies[0.1][0], rel=1e-5)
    assert entropies[0.0][1] == pytest.approx(entropies[0.0][0], rel=1e-5)
    assert entropies[0.1][1] > entropies[0.1][0]


def test_correction_weighs_the_policy_term_alone(random_model, processor, banned, make_groups):
    """Where every completion is masked, the KL term still acts."""

    def nothing(old, sampler, mask):
        return sequence_masked(old, sampler, mask, low=1e6, high=1e7)

    experience = experience_of(make_groups(4, 3), processor)
    policy = load_policy(str(random_model), "float32")
    module = module_of(random_model, settings(correction=nothing), banned, policy=policy)
    (gradient,) = take_steps(module, experience)
    assert not any(tensor.any() for tensor in gradient.values())
    assert module.metrics["policy/correction"] == 0
    with torch.no_grad():
        policy.lm_head.weight.mul_(1.1)
    module = module_of(random_model, settings(correction=nothing, kl_coef=0.1), banned, policy=policy)
    (gradient,) = take_steps(module, experience)
    assert any(tensor.any() for tensor in gradient.values())


def test_the_mismatch_is_told_apart_by_modality(random_model, processor, banned, make_groups):
    module = module_of(random_model, settings(), banned)
    take_steps(module, experience_of(make_groups(4, 3), processor))
    metrics = module.metrics
    low, high = sorted([metrics["policy/sampler_kl/text"], metrics["policy/sampler_kl/image"]])
    assert low < metrics["policy/sampler_kl"] < high
    module = module_of(random_model, settings(), banned)
    take_steps(module, experience_of(make_groups(4, 3, renderings=["text_only"]), processor))
    assert "policy/sampler_kl/image" not in module.metrics
    assert module.metrics["policy/sampler_kl/text"] == module.metrics["policy/sampler_kl"]


def test_a_capped_correction_makes_the_mean_weight_what_sampler_and_trainer_differ_by(
    random_model, processor, banned, make_groups
):
    def capped(old, sampler, mask):
        return token_truncated(old, sampler, mask, cap=2.0)

    experience = experience_of(make_groups(4, 3), processor)
    # A sampler that was twice as sure of every token.
    module = module_of(random_model, settings(), banned)
    module.trainer = trainer_of()
    experience.sampler_logprobs = (
        module._forward_of(experience).logprobs(module.policy) + math.log(2)
    ) * experience.completion_mask
    module = module_of(random_model, settings(correction=capped), banned)
    take_steps(module, experience)
    assert module.metrics["policy/correction"] == pytest.approx(0.5, rel=1e-4)
    assert module.metrics["policy/sampler_difference"] == pytest.approx(math.log(2), rel=1e-4)


def test_a_pass_without_gradient_is_one_without_dropout(random_model, processor, banned, make_groups):
    lora = LoraSettings(rank=4, alpha=8, dropout=0.5, target_modules=("q_proj", "v_proj"))
    policy = load_policy(str(random_model), "float32", lora=lora, freeze_vision=True)
    with torch.no_grad():
        for name, parameter in policy.named_parameters():
            if "lora_B" in name:
                parameter.normal_(generator=torch.Generator().manual_seed(0))
    module = module_of(None, settings(mini_batches=2, learning_rate=0.0, kl_coef=0.1), banned, policy=policy)
    experience = experience_of(make_groups(4, 3), processor)
    module.trainer = trainer_of()
    policy.eval()
    experience.sampler_logprobs = module._forward_of(experience).logprobs(policy)
    policy.train()
    take_steps(module, experience)
    # The old log-probabilities are those of the sampler, which knows no dropout ...
    assert module.metrics["policy/sampler_difference"] < 1e-5
    # ... and the passes with a gradient still have it.
    assert module.metrics["policy/ratio"] != pytest.approx(1, abs=1e-3)
    assert all(part.training for part in policy.modules())


@pytest.mark.parametrize("name", ["reinforce_pp", "reinforce_baseline", "ppo"])
def test_a_run_says_how_much_of_its_advantages_is_the_penalty_s(random_model, processor, banned, make_groups, name):
    """Rewards that differ drown it; where none differs, it is all there is, and whitening gives it full size."""
    algorithm = configured(name, **ONE_STEP)
    differing, equal = make_groups(4, 3), make_groups(4, 3)
    for group in equal:
        group.scores = [replace(score, reward=1.0) for score in group.scores]
    shares = []
    for groups in (differing, equal):
        module = module_of(random_model, algorithm, banned)
        with torch.no_grad():
            module.policy.get_input_embeddings().weight.mul_(1.05)
        take_steps(module, experience_of(groups, processor, algorithm))
        shares.append(module.metrics["policy/kl_share_of_reward"])
    assert 0 < shares[0] < 0.1
    assert shares[1] == 1


def test_an_adaptive_coefficient_follows_its_target_and_is_resumed(
    random_model, processor, banned, make_groups, tmp_path
):
    algorithm = configured("grpo", "algorithm.kl_coef=0.1", "kl_control=adaptive", **ONE_STEP)
    module = module_of(random_model, algorithm, banned)
    experience = experience_of(make_groups(4, 3), processor, algorithm)
    take_steps(module, experience)
    assert module.metrics["policy/kl_coef"] == 0.1
    # On target is 6 nats a completion, and the policy still is the reference: the answer is the strongest there is.
    assert module.kl_coef == pytest.approx(0.1 * (1 - 0.2 * 12 / 10_000))
    checkpoint: dict = {}
    module.on_save_checkpoint(checkpoint)
    resumed = module_of(random_model, algorithm, banned)
    resumed.on_load_checkpoint(checkpoint)
    assert resumed.kl_coef == module.kl_coef


def test_every_term_of_the_reward_counts_for_gdpo(random_model, processor, banned, make_groups):
    """Accuracy and format that cancel in the sum do not cancel when each is normalised by itself."""
    stored = make_groups(4, 4)
    summed = experience_of(stored, processor, configured("grpo"))
    apart = experience_of(stored, processor, configured("gdpo"))
    assert not torch.allclose(summed.advantages, apart.advantages, atol=0.1)
    assert float(apart.advantages.sum()) == pytest.approx(0, abs=1e-4)
    assert float(apart.advantages.std()) == pytest.approx(1, abs=0.01)
