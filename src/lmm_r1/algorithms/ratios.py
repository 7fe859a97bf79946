"""Ratios of probabilities, from log-probabilities and a mask."""

from __future__ import annotations

import torch

LARGEST_LOG_RATIO = 20.0
"""Beyond it a ratio, 5e8, means a fault and not a policy; exp() of more would end in infinity, and 0·∞ in NaN.

verl's bound, for tokens and for correction weights (its GSPO: 10). TRL has none. The gradient stops there too.
"""


def log_ratio(logprobs: torch.Tensor, other: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """`logprobs - other` `[B, T]`; exactly 0, without a gradient, outside the mask, whatever stands there."""
    return (logprobs - other).masked_fill(~mask, 0.0)


def ratio(log_ratio: torch.Tensor) -> torch.Tensor:
    """`exp(log_ratio)`, bounded so that it stays finite and above 0."""
    return torch.exp(log_ratio.clamp(-LARGEST_LOG_RATIO, LARGEST_LOG_RATIO))


def sequence_mean_log_ratio(log_ratio: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """`[B, 1]`: the mean over a completion's sampled tokens; `log_ratio` `[B, T]` is 0 outside the mask."""
    return log_ratio.sum(dim=1, keepdim=True) / mask.sum(dim=1, keepdim=True).clamp(min=1)
