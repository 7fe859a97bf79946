"""Log-probabilities and advantages to a policy loss for each token.

Every function takes the same four tensors and then its own numbers:

- `logprobs` `[B, T]` of the policy in training; carries the gradient.
- `old_logprobs` `[B, T]` of the policy before the update, at the rollout.
- `advantages` `[B, T]`, or `[B, 1]` for one advantage a completion.
- `mask` `[B, T]` bool, the sampled tokens. What the others hold outside it, NaN too, reaches neither loss nor gradient.

Below, `r = exp(logprobs - old_logprobs)`, A is the advantage, sg stops the gradient. At r = 1 the gradient of all of
them is that of `-A·logprobs`, the plain policy gradient.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from lmm_r1.algorithms.ratios import log_ratio, ratio, sequence_mean_log_ratio


class TokenLoss(NamedTuple):
    """A policy loss for each token, with where its clip range acted. All `[B, T]`, float32, 0 outside the mask."""

    loss: torch.Tensor
    """To be minimised, after `aggregation`."""
    clipped_low: torch.Tensor
    """1 where the ratio fell below the range and the clip acted."""
    clipped_high: torch.Tensor
    """1 where the ratio rose above the range and the clip acted."""


def clipped_surrogate(
    logprobs: torch.Tensor,
    old_logprobs: torch.Tensor,
    advantages: torch.Tensor,
    mask: torch.Tensor,
    *,
    clip_low: float,
    clip_high: float,
    dual_clip: float | None = None,
) -> TokenLoss:
    """PPO's clipped surrogate, `-min(r·A, clip(r, 1 - clip_low, 1 + clip_high)·A)`.

    PPO (arXiv 1707.06347), equation 7; two clip ranges as in DAPO (arXiv 2503.14476), equation 10. The gradient ends
    where the ratio is below the range and A < 0, or above it and A > 0.

    `dual_clip` c > 1 + clip_high bounds the loss of a bad token that the policy has come to favour, at `-c·A` for
    A < 0 (arXiv 1912.09729); the gradient ends there too, and counts as clipped high. TRL calls it `delta`, default
    off; verl `clip_ratio_c`, default 3.0; OpenRLHF has it, off.

    Peers' ranges: TRL and verl 0.2 and 0.2, EasyR1 0.2 and 0.3, DAPO 0.2 and 0.28.
    """
    advantages = _sampled(advantages, mask)
    ratios = ratio(log_ratio(logprobs, old_logprobs, mask))
    return _clipped(ratios, advantages, clip_low=clip_low, clip_high=clip_high, dual_clip=dual_clip)


def sequence_clipped_surrogate(
    logprobs: torch.Tensor,
    old_logprobs: torch.Tensor,
    advantages: torch.Tensor,
    mask: torch.Tensor,
    *,
    clip_low: float,
    clip_high: float,
) -> TokenLoss:
    """GSPO: the clipped surrogate with one ratio a completion, the geometric mean of its tokens' ratios.

    `s = exp(mean_t log r_t)` (arXiv 2507.18071, equation 7), in the token form `s_t = sg(s)·π/sg(π)` (equations 13 and
    14), which lets advantages differ from token to token. Where they do not, value and gradient are those of the
    sequence form under every aggregation. verl computes this form, TRL (`importance_sampling_level="sequence"`) the
    sequence form: the two part where something weighs tokens of a completion differently. Goes with `sequence_mean`.

    The ranges are far narrower than a token's: the paper trains with 3e-4 and 4e-4.
    """
    advantages = _sampled(advantages, mask)
    tokens = log_ratio(logprobs, old_logprobs, mask)
    sequences = sequence_mean_log_ratio(tokens, mask)
    ratios = ratio(tokens - tokens.detach() + sequences.detach())
    return _clipped(ratios, advantages, clip_low=clip_low, clip_high=clip_high, dual_clip=None)


def single_action_surrogate(
    logprobs: torch.Tensor,
    old_logprobs: torch.Tensor,
    advantages: torch.Tensor,
    mask: torch.Tensor,
    *,
    clip_low: float,
    clip_high: float,
) -> TokenLoss:
    """RLOO: the clipped surrogate with the whole completion as one action, whose ratio is the product of its tokens'.

    `exp(Σ_t log r_t)`; RLOO (arXiv 2402.14740), section 3, and TRL's `RLOOTrainer`. Each token carries the loss of its
    completion, so that `sequence_mean` gives the mean over completions, in value and gradient. The product leaves the
    range soon: a completion of 500 tokens does, where each token's ratio is 1.0004.

    Raises:
        ValueError: advantages are not `[B, 1]`: one action has one advantage.
    """
    if advantages.shape[1] != 1:
        raise ValueError(f"one action has one advantage: advantages must be [B, 1], got {tuple(advantages.shape)}")
    advantages = _sampled(advantages, mask)
    products = ratio(log_ratio(logprobs, old_logprobs, mask).sum(dim=1, keepdim=True)).expand_as(advantages)
    return _clipped(products, advantages, clip_low=clip_low, clip_high=clip_high, dual_clip=None)


def clipped_weights(
    logprobs: torch.Tensor,
    old_logprobs: torch.Tensor,
    advantages: torch.Tensor,
    mask: torch.Tensor,
    *,
    clip_high: float,
    clip_low: float | None = None,
) -> TokenLoss:
    """CISPO: `-sg(clip(r, 1 - clip_low, 1 + clip_high))·A·logprobs`; the weight is clipped, the gradient never ends.

    MiniMax-M1 (arXiv 2506.13585), equations 4 and 5, which sets no lower bound: `clip_low` None. verl clips on both
    sides. TRL's `epsilon_high` is the cap itself, not its distance from 1: its 5.0 is 4.0 here.
    `clipped_low` and `clipped_high` say where the weight was clipped, for either sign of A.
    """
    advantages = _sampled(advantages, mask)
    ratios = ratio(log_ratio(logprobs, old_logprobs, mask)).detach()
    low, high = -torch.inf if clip_low is None else 1 - clip_low, 1 + clip_high
    return TokenLoss(
        loss=-ratios.clamp(low, high) * advantages * _sampled(logprobs, mask),
        clipped_low=(ratios < low).float(),
        clipped_high=(ratios > high).float(),
    )


def policy_gradient(
    logprobs: torch.Tensor, old_logprobs: torch.Tensor, advantages: torch.Tensor, mask: torch.Tensor
) -> TokenLoss:
    """REINFORCE: `-A·logprobs`. Right on the policy that sampled, and only there: `old_logprobs` is not looked at."""
    loss = -_sampled(advantages, mask) * _sampled(logprobs, mask)
    return TokenLoss(loss=loss, clipped_low=torch.zeros_like(loss), clipped_high=torch.zeros_like(loss))


def _clipped(
    ratios: torch.Tensor, advantages: torch.Tensor, *, clip_low: float, clip_high: float, dual_clip: float | None
) -> TokenLoss:
    loss = -torch.minimum(ratios * advantages, ratios.clamp(1 - clip_low, 1 + clip_high) * advantages)
    clipped_high = (ratios > 1 + clip_high) & (advantages > 0)
    if dual_clip is not None:
        loss = torch.where(advantages < 0, torch.minimum(loss, -dual_clip * advantages), loss)
        clipped_high = clipped_high | ((ratios > dual_clip) & (advantages < 0))
    clipped_low = (ratios < 1 - clip_low) & (advantages < 0)
    return TokenLoss(loss=loss, clipped_low=clipped_low.float(), clipped_high=clipped_high.float())


def _sampled(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """`values`, `[B, T]` or `[B, 1]`, as `[B, T]` with 0 outside the mask."""
    return torch.where(mask, values, torch.zeros_like(values))
