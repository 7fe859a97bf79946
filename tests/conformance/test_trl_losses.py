"""Loss and gradient equal those of TRL 1.16's trainers, called without a trainer around them."""

from __future__ import annotations

import functools
from collections import defaultdict
from types import SimpleNamespace

import pytest
import torch

from lmm_r1.algorithms.aggregation import constant_length, sequence_mean, token_mean
from lmm_r1.algorithms.correction import sequence_masked, token_truncated
from lmm_r1.algorithms.kl import k3
from lmm_r1.algorithms.losses import (
    clipped_surrogate,
    clipped_weights,
    sequence_clipped_surrogate,
    single_action_surrogate,
)
from lmm_r1.algorithms.ratios import log_ratio, ratio, sequence_mean_log_ratio
from tests.conformance.update import ABSENT, WITHIN, Update, assert_equal, gradient, ours

pytest.importorskip("trl", reason=ABSENT.format("TRL"))

from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.rloo_trainer import RLOOTrainer

CLIP = {"clip_low": 0.2, "clip_high": 0.28}
PPO = functools.partial(clipped_surrogate, **CLIP)
GSPO = functools.partial(sequence_clipped_surrogate, **CLIP)
LENGTH = 20
AGGREGATIONS = {
    "grpo": sequence_mean,
    "bnpo": token_mean,
    "dapo": token_mean,
    "dr_grpo": functools.partial(constant_length, length=LENGTH),
}
KL = {"no_kl": {}, "kl": {"kl_coef": 0.04}, "weighted_kl": {"kl_coef": 0.04, "weighted_kl": True}}


def stand_in(update: Update, **settings) -> SimpleNamespace:
    """What `_compute_loss` asks its trainer for: the log-probabilities, one process, and settings."""
    return SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *_, **__: (update.logprobs, torch.zeros_like(update.old), None),
        accelerator=SimpleNamespace(num_processes=1, gather=lambda x: x, reduce=lambda x, reduction: x),
        model=SimpleNamespace(training=True),
        aux_loss_enabled=False,
        epsilon_low=0.2,
        **{"epsilon_high": 0.28, **settings},
        _metrics=defaultdict(lambda: defaultdict(list)),
    )


def inputs_of(update: Update, **more: torch.Tensor) -> dict[str, torch.Tensor]:
    prompt = torch.ones(len(update.mask), 1, dtype=torch.long)
    return {
        "prompt_ids": prompt,
        "prompt_mask": prompt,
        "completion_ids": update.numeric_mask,
        "completion_mask": update.numeric_mask,
        "advantages": update.advantages[:, 0],
        **more,
    }


def trl(
    update: Update,
    loss_type: str,
    *,
    level: str = "token",
    kl_coef: float = 0.0,
    weighted_kl: bool = False,
    correction: torch.Tensor | None = None,
    delta: float | None = None,
    epsilon_high: float = 0.28,
    accumulation: int = 1,
    tokens: int | None = None,
    on_policy: bool = False,
) -> torch.Tensor:
    """GRPOTrainer's loss of a micro-batch, the `accumulation`-th part of a mini-batch of `tokens` tokens."""
    trainer = stand_in(
        update,
        loss_type=loss_type,
        importance_sampling_level=level,
        beta=kl_coef,
        epsilon_high=epsilon_high,
        use_vllm=correction is not None,
        vllm_importance_sampling_correction=True,
        max_completion_length=LENGTH,
        current_gradient_accumulation_steps=accumulation,
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        _entropy_bonus_enabled=False,
        args=SimpleNamespace(use_bias_correction_kl=weighted_kl, delta=delta, steps_per_generation=accumulation),
    )
    inputs = inputs_of(
        update,
        ref_per_token_logps=update.reference,
        importance_sampling_ratio=correction,
        num_items_in_batch=torch.tensor(tokens or int(update.mask.sum())),
    )
    if not on_policy:
        inputs["old_per_token_logps"] = update.old
    return GRPOTrainer._compute_loss(trainer, None, inputs)


def corrections_of(update: Update) -> dict[str, torch.Tensor | None]:
    """TRL's, by `vllm_importance_sampling_mode`; outside the mask its weights are not 0 but meet losses of weight 0."""
    return {
        "no_correction": None,
        "token_truncate": token_truncated(update.old, update.sampler, update.mask, cap=1.2),
        "sequence_mask": sequence_masked(update.old, update.sampler, update.mask, low=0.0, high=3.0),
    }


@pytest.mark.parametrize("loss_type", AGGREGATIONS)
@pytest.mark.parametrize("kl", KL)
@pytest.mark.parametrize("correction", ["no_correction", "token_truncate", "sequence_mask"])
def test_the_clipped_surrogate_is_trls(loss_type, kl, correction):
    update = Update.random()
    terms = {**KL[kl], "correction": corrections_of(update)[correction]}
    assert_equal(ours(update, PPO, AGGREGATIONS[loss_type], **terms), trl(update, loss_type, **terms), update)


@pytest.mark.parametrize("loss_type", AGGREGATIONS)
@pytest.mark.parametrize("kl", ["no_kl", "kl"])
@pytest.mark.parametrize("correction", ["no_correction", "sequence_mask"])
def test_gspo_is_trls_sequence_level(loss_type, kl, correction):
    update = Update.random(seed=1, spread=0.6)
    terms = {**KL[kl], "correction": corrections_of(update)[correction]}
    theirs = trl(update, loss_type, level="sequence", **terms)
    assert_equal(ours(update, GSPO, AGGREGATIONS[loss_type], **terms), theirs, update)


@pytest.mark.parametrize("kl", KL)
@pytest.mark.parametrize("correction", ["no_correction", "token_truncate", "sequence_mask"])
def test_cispo_is_trls_whose_epsilon_is_the_cap_itself(kl, correction):
    update = Update.random(seed=2)
    terms = {**KL[kl], "correction": corrections_of(update)[correction]}
    loss = functools.partial(clipped_weights, clip_high=0.5)
    assert_equal(ours(update, loss, token_mean, **terms), trl(update, "cispo", epsilon_high=1.5, **terms), update)


def test_dual_clip_is_trls_delta():
    update = Update.random(seed=3, spread=0.8)
    dual = ours(update, functools.partial(PPO, dual_clip=1.5), token_mean)
    assert not torch.allclose(dual, ours(update, PPO, token_mean))
    assert_equal(dual, trl(update, "dapo", delta=1.5), update)


@pytest.mark.parametrize("kl", KL)
def test_on_policy_old_logprobs_are_the_current_ones_detached(kl):
    update = Update.random(seed=4)
    update.old = update.logprobs.detach()
    assert_equal(ours(update, PPO, token_mean, **KL[kl]), trl(update, "dapo", on_policy=True, **KL[kl]), update)


def test_rloo_is_trls():
    update = Update.random(seed=5, spread=0.1)
    trainer = stand_in(update)
    theirs = RLOOTrainer._compute_loss(
        trainer, None, inputs_of(update, old_logps=(update.old * update.numeric_mask).sum(dim=1))
    )
    assert_equal(ours(update, functools.partial(single_action_surrogate, **CLIP), sequence_mean), theirs, update)


def halves_of(update: Update, loss_type: str) -> torch.Tensor:
    tokens, half = int(update.mask.sum()), len(update.mask) // 2
    return sum(
        trl(update.rows(rows), loss_type, accumulation=2, tokens=tokens) for rows in (slice(half), slice(half, None))
    )


@pytest.mark.parametrize("loss_type", ["grpo", "dapo", "dr_grpo"])
def test_micro_batches_add_up_to_ours(loss_type):
    update = Update.random(seed=6)
    assert_equal(ours(update, PPO, AGGREGATIONS[loss_type]), halves_of(update, loss_type), update)


def test_bnpo_depends_on_the_micro_batches_and_ours_does_not():
    """TRL's `bnpo` divides by the tokens of the micro-batch, so that it is our `token_mean` undivided only."""
    update = Update.random(seed=6)
    assert update.mask[:4].sum() != update.mask[4:].sum()
    assert not torch.allclose(halves_of(update, "bnpo"), trl(update, "bnpo"), **WITHIN)


def test_gspo_with_weights_of_tokens_has_trls_value_and_another_gradient():
    """A token's weight acts on its own gradient here and in verl; TRL spreads all weights over the completion."""
    update = Update.random(seed=1, spread=0.6)
    correction = corrections_of(update)["token_truncate"]
    mine = ours(update, GSPO, sequence_mean, correction=correction)
    theirs = trl(update, "grpo", level="sequence", correction=correction)
    torch.testing.assert_close(mine, theirs, **WITHIN)
    assert not torch.allclose(gradient(mine, update), gradient(theirs, update), atol=1e-4)


def test_trl_weighs_the_kl_of_a_sequence_level_loss_by_the_completions_ratio():
    """Unbiased for token ratios alone, as TRL says itself; ours weighs by the token's ratio whatever the loss."""
    update = Update.random(seed=1, spread=0.6)
    theirs = trl(update, "grpo", level="sequence", kl_coef=0.04, weighted_kl=True)
    differences = log_ratio(update.logprobs, update.old, update.mask)
    weight = ratio(sequence_mean_log_ratio(differences, update.mask))
    weights, count = sequence_mean(update.mask)
    penalty = (weight * k3(update.logprobs, update.reference) * weights).sum() / count
    assert_equal(ours(update, GSPO, sequence_mean) + 0.04 * penalty, theirs, update)
    assert not torch.allclose(ours(update, GSPO, sequence_mean, kl_coef=0.04, weighted_kl=True), theirs, **WITHIN)
