"""Laws of the update: what the gradient may and may not depend on."""

from __future__ import annotations

import pytest
import torch

from lmm_r1.algorithms.aggregation import sequence_mean, token_mean
from lmm_r1.models.loading import LoraSettings, load_policy
from lmm_r1.training.collate import collate
from tests.training.updating import difference, experience_of, module_of, settings, take_steps


def fit(policy, experience, banned, algorithm, reference=None):
    """One RL step; returns the module and the gradients of its optimiser steps."""
    module = module_of(None, algorithm, banned, policy=policy, reference=reference)
    return module, take_steps(module, experience)


@pytest.mark.parametrize("aggregation", [token_mean, sequence_mean])
def test_the_gradient_does_not_depend_on_the_micro_batches(random_model, processor, banned, make_groups, aggregation):
    experience = experience_of(make_groups(4, 3), processor)
    steps = []
    for size in (10_000, 150, 1):
        policy = load_policy(str(random_model), "float32")
        steps.append(fit(policy, experience, banned, settings(aggregation=aggregation, micro_batch_tokens=size))[1][0])
    assert difference(steps[0], steps[1]) < 1e-5
    assert difference(steps[0], steps[2]) < 1e-5


def test_the_gradient_does_not_depend_on_the_order_of_groups(random_model, processor, banned, make_groups):
    groups = make_groups(4, 3)
    first = fit(load_policy(str(random_model), "float32"), experience_of(groups, processor), banned, settings())
    second = fit(load_policy(str(random_model), "float32"), experience_of(groups[::-1], processor), banned, settings())
    assert difference(first[1][0], second[1][0]) < 1e-5


def test_on_policy_loss_is_zero_and_its_gradient_is_not(policy, processor, banned, make_groups):
    # Completions of one length, so that the token mean weighs every advantage the same.
    groups = make_groups(4, 3)
    module, gradients = fit(policy, experience_of(groups, processor), banned, settings(aggregation=sequence_mean))
    assert abs(module.metrics["policy/loss"]) < 1e-6
    assert module.metrics["policy/grad_norm"] > 1e-3
    assert len(gradients) == 1


def test_groups_without_variance_change_nothing(policy, processor, banned, make_groups):
    groups = make_groups(2, 3)
    experience = collate(groups, torch.zeros(2, 3), processor)
    before = {name: tensor.clone() for name, tensor in policy.state_dict().items()}
    fit(policy, experience, banned, settings())
    assert all(torch.equal(tensor, before[name]) for name, tensor in policy.state_dict().items())


def test_a_padded_token_has_no_influence(random_model, processor, banned, make_groups):
    experience = experience_of(make_groups(2, 3), processor)
    first = fit(load_policy(str(random_model), "float32"), experience, banned, settings())[1][0]
    experience.completion_ids[~experience.completion_mask] = 33
    experience.sampler_logprobs[~experience.completion_mask] = -50.0
    second = fit(load_policy(str(random_model), "float32"), experience, banned, settings())[1][0]
    assert difference(first, second) == 0


def test_every_optimiser_step_of_a_rollout_is_taken(policy, processor, banned, make_groups):
    experience = experience_of(make_groups(4, 3), processor)
    module, gradients = fit(policy, experience, banned, settings(mini_batches=3, inner_epochs=2))
    assert len(gradients) == 6
    assert module.steps_done == 1
    # After the first of several steps the policy has moved away from the sampler.
    assert module.metrics["policy/clip_low"] + module.metrics["policy/clip_high"] > 0


def test_the_divergence_from_an_equal_reference_is_zero_and_grows_with_training(
    random_model, processor, banned, make_groups
):
    experience = experience_of(make_groups(4, 3), processor)
    reference = load_policy(str(random_model), "float32")
    algorithm = settings(kl_coef=0.1, inner_epochs=1)
    module, _ = fit(load_policy(str(random_model), "float32"), experience, banned, algorithm, reference)
    assert module.metrics["policy/kl"] == pytest.approx(0, abs=1e-9)
    algorithm = settings(kl_coef=0.1, inner_epochs=2)
    module, _ = fit(load_policy(str(random_model), "float32"), experience, banned, algorithm, reference)
    assert module.metrics["policy/kl"] > 0


def test_the_reference_of_an_adapter_is_the_model_without_it(random_model, processor, banned, make_groups):
    lora = LoraSettings(rank=4, alpha=8, dropout=0.0, target_modules=("q_proj", "v_proj"))
    policy = load_policy(str(random_model), "float32", lora=lora, freeze_vision=True)
    experience = experience_of(make_groups(4, 3), processor)
    module, gradients = fit(policy, experience, banned, settings(kl_coef=0.1, inner_epochs=2))
    assert module.metrics["policy/kl"] > 0
    assert all("lora" in name for name in gradients[0])


def test_a_checkpoint_does_not_hold_the_reference(random_model, banned):
    policy, reference = (load_policy(str(random_model), "float32") for _ in range(2))
    module = module_of(None, settings(kl_coef=0.1), banned, policy=policy, reference=reference)
    assert len(module.state_dict()) == len(policy.state_dict())
