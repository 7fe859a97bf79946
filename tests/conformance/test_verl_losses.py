"""Losses, gradients and KL estimates equal those of verl 0.9.1's `core_algos`."""

from __future__ import annotations

import functools

import pytest
import torch

from lmm_r1.algorithms.aggregation import constant_length, sequence_mean, token_mean
from lmm_r1.algorithms.correction import sequence_masked, sequence_truncated, token_masked, token_truncated
from lmm_r1.algorithms.kl import k1, k2, k3, k3_straight_through
from lmm_r1.algorithms.kl_control import adapted
from lmm_r1.algorithms.losses import clipped_surrogate, clipped_weights, sequence_clipped_surrogate
from lmm_r1.algorithms.value import value_loss
from tests.conformance.update import ABSENT, WITHIN, Update, assert_equal, gradient, ours

pytest.importorskip("verl", reason=ABSENT.format("verl"))

from verl.trainer.ppo import core_algos
from verl.trainer.ppo.rollout_corr_helper import compute_rollout_correction_weights
from verl.workers.config import ActorConfig

CLIP = {"clip_low": 0.2, "clip_high": 0.28}
PPO = functools.partial(clipped_surrogate, **CLIP, dual_clip=3.0)
LENGTH = 20
AGGREGATIONS = {
    "token-mean": token_mean,
    "seq-mean-token-mean": sequence_mean,
    "seq-mean-token-sum-norm": functools.partial(constant_length, length=LENGTH),
}


def verl(
    name: str,
    update: Update,
    aggregation: str = "token-mean",
    correction: torch.Tensor | None = None,
    *,
    dual_clip: float = 3.0,
) -> torch.Tensor:
    config = ActorConfig(
        strategy="fsdp",
        rollout_n=1,
        ppo_micro_batch_size_per_gpu=1,
        clip_ratio_low=0.2,
        clip_ratio_high=0.28,
        clip_ratio_c=dual_clip,
        global_batch_info={"loss_scale_factor": LENGTH} if aggregation.endswith("norm") else {},
    )
    loss, _ = core_algos.get_policy_loss_fn(name)(
        update.old,
        update.logprobs,
        update.advantages.expand_as(update.old),
        update.numeric_mask,
        aggregation,
        config,
        correction,
    )
    return loss


def correction_of(update: Update, name: str) -> torch.Tensor | None:
    return token_truncated(update.old, update.sampler, update.mask, cap=2.0) if name == "corrected" else None


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("corrected", ["plain", "corrected"])
def test_the_dual_clipped_surrogate_is_verls(aggregation, corrected):
    update = Update.random(spread=0.8)
    correction = correction_of(update, corrected)
    theirs = verl("vanilla", update, aggregation, correction, dual_clip=1.5)
    mine = functools.partial(clipped_surrogate, **CLIP, dual_clip=1.5)
    assert_equal(ours(update, mine, AGGREGATIONS[aggregation], correction=correction), theirs, update)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("corrected", ["plain", "corrected"])
def test_gspo_is_verls(aggregation, corrected):
    update = Update.random(seed=1, spread=0.6)
    correction = correction_of(update, corrected)
    mine = functools.partial(sequence_clipped_surrogate, **CLIP)
    theirs = verl("gspo", update, aggregation, correction)
    assert_equal(ours(update, mine, AGGREGATIONS[aggregation], correction=correction), theirs, update)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("corrected", ["plain", "corrected"])
def test_cispo_is_verls_with_a_bound_on_both_sides(aggregation, corrected):
    update = Update.random(seed=2)
    correction = correction_of(update, corrected)
    mine = functools.partial(clipped_weights, **CLIP)
    theirs = verl("cispo", update, aggregation, correction)
    assert_equal(ours(update, mine, AGGREGATIONS[aggregation], correction=correction), theirs, update)
    assert not torch.allclose(ours(update, functools.partial(clipped_weights, clip_high=0.28), token_mean), theirs)


def test_gradients_end_at_verls_bound_on_log_ratios():
    update = Update.random(seed=3, rows=2, tokens=2)
    update.mask[:] = True
    update.old = update.logprobs.detach() - torch.tensor([[19.0, 21.0], [-19.0, -21.0]])
    update.advantages = torch.tensor([[-1.0], [1.0]])
    mine = ours(update, functools.partial(clipped_surrogate, **CLIP), token_mean)
    theirs = verl("vanilla", update, dual_clip=1e30)
    torch.testing.assert_close(mine, theirs)
    torch.testing.assert_close(gradient(mine, update), gradient(theirs, update))


def test_a_completion_of_no_tokens_counts_in_our_mean_of_sequences_and_not_in_verls():
    """Ours divides by the completions of the mini-batch, a number known beforehand; verl by those with a token left."""
    update = Update.random(seed=4)
    update.mask[2] = False
    rows = len(update.mask)
    theirs = verl("vanilla", update, "seq-mean-token-mean")
    assert_equal(ours(update, PPO, sequence_mean) * rows / (rows - 1), theirs, update)


ESTIMATORS = {"k1": k1, "k2": k2, "k3": k3, "k3+": k3_straight_through}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_kl_estimates_are_verls(name):
    update = Update.random(seed=5)
    mine = ESTIMATORS[name](update.logprobs, update.reference)
    theirs = core_algos.kl_penalty(update.logprobs, update.reference, name)
    torch.testing.assert_close(mine, theirs, **WITHIN)
    torch.testing.assert_close(gradient(mine.sum(), update), gradient(theirs.sum(), update), **WITHIN)


def test_verl_caps_k3_at_ten_and_with_it_the_gradient():
    """A token that the reference finds e³ times likelier than the policy still counts in full here."""
    logprobs, reference = torch.tensor([-4.0, -1.0], requires_grad=True), torch.tensor([-1.0, -1.1])
    theirs = core_algos.kl_penalty(logprobs, reference, "k3")
    mine = k3(logprobs, reference)
    assert theirs[0] == 10 < mine[0]
    torch.testing.assert_close(mine[1], theirs[1])
    assert torch.autograd.grad(theirs.sum(), logprobs)[0][0] == 0


@pytest.mark.parametrize("measured", [0.0, 0.09, 0.11, 5.0])
def test_the_adaptive_coefficient_is_verls(measured):
    controller = core_algos.AdaptiveKLController(init_kl_coef=0.01, target_kl=0.1, horizon=10_000)
    controller.update(current_kl=measured, n_steps=256)
    assert adapted(0.01, measured, target=0.1, horizon=10_000, batch_size=256) == pytest.approx(controller.value)


@pytest.mark.parametrize("clip", [0.2, 0.5])
def test_the_value_loss_is_verls(clip):
    update = Update.random(seed=6, spread=0.8)
    values, old, returns = update.logprobs, update.old, update.reference
    theirs, _ = core_algos.compute_value_loss(values, returns, old, update.numeric_mask, clip)
    weights, count = token_mean(update.mask)
    mine = (value_loss(values, old, returns, update.mask, clip=clip) * weights).sum() / count
    assert_equal(mine, theirs, update)


@pytest.mark.parametrize(
    ("mine", "level", "threshold"),
    [
        (functools.partial(token_truncated, cap=1.2), "token", 1.2),
        (functools.partial(sequence_truncated, cap=1.2), "sequence", 1.2),
        (functools.partial(token_masked, low=0.8, high=1.2), "token", "0.8_1.2"),
        (functools.partial(sequence_masked, low=0.8, high=1.2), "sequence", "0.8_1.2"),
    ],
    ids=["token_truncated", "sequence_truncated", "token_masked", "sequence_masked"],
)
def test_corrections_are_verls(mine, level, threshold):
    update = Update.random(seed=7)
    theirs, _ = compute_rollout_correction_weights(
        update.old - update.sampler, update.numeric_mask, rollout_is=level, rollout_is_threshold=threshold
    )
    weights = mine(update.old, update.sampler, update.mask)
    assert len(weights[update.mask].unique()) > 2
    torch.testing.assert_close(weights, theirs, **WITHIN)
