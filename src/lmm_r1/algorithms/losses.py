"""Log-probabilities and advantages to a policy loss for each token."""

from __future__ import annotations

from typing import NamedTuple

import torch


class TokenLoss(NamedTuple):
    """A policy loss for each token, with where its clip range took the gradient away. All `[B, T]`, float32."""

    loss: torch.Tensor
    """To be minimised; padding is the caller's to mask."""
    clipped_low: torch.Tensor
    """1 where the ratio fell below the range and the advantage is negative: the only place the lower clip acts."""
    clipped_high: torch.Tensor
    """1 where the ratio rose above the range and the advantage is positive."""


def clipped_surrogate(
    logprobs: torch.Tensor,
    old_logprobs: torch.Tensor,
    advantages: torch.Tensor,
    *,
    clip_low: float,
    clip_high: float,
) -> TokenLoss:
    """PPO's clipped surrogate, `-min(r·A, clip(r, 1 - clip_low, 1 + clip_high)·A)`.

    `r = exp(logprobs - old_logprobs)`. PPO (arXiv 1707.06347), equation 7; two clip ranges as in DAPO
    (arXiv 2503.14476), equation 10.

    Args:
        logprobs: `[B, T]` of the policy in training; carries the gradient.
        old_logprobs: `[B, T]` of the policy that sampled.
        advantages: `[B, T]`, or `[B, 1]` for one advantage a completion.
    """
    ratio = torch.exp(logprobs - old_logprobs)
    clipped = ratio.clamp(1 - clip_low, 1 + clip_high)
    return TokenLoss(
        loss=-torch.minimum(ratio * advantages, clipped * advantages),
        clipped_low=((ratio < 1 - clip_low) & (advantages < 0)).float(),
        clipped_high=((ratio > 1 + clip_high) & (advantages > 0)).float(),
    )
