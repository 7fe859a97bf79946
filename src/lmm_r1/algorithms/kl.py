"""Estimates of KL(policy ‖ reference) from the sampled tokens alone.

J. Schulman, "Approximating KL Divergence" (2020). Each takes the policy's log-probabilities `[B, T]`, which carry
the gradient, and the reference policy's `[B, T]`, and gives an estimate for each token `[B, T]`.
"""

from __future__ import annotations

import torch


def k1(logprobs: torch.Tensor, reference_logprobs: torch.Tensor) -> torch.Tensor:
    """`log π - log π_ref`: unbiased, of high variance, negative at times. As a loss its gradient has mean zero."""
    return logprobs - reference_logprobs


def k2(logprobs: torch.Tensor, reference_logprobs: torch.Tensor) -> torch.Tensor:
    """`(log π - log π_ref)² / 2`: biased, but its gradient is that of the divergence."""
    return (logprobs - reference_logprobs).square() / 2


def k3(logprobs: torch.Tensor, reference_logprobs: torch.Tensor) -> torch.Tensor:
    """`e^d - d - 1` with `d = log π_ref - log π`: unbiased and never negative.

    GRPO's choice (DeepSeekMath, arXiv 2402.03300, equation 4).
    """
    difference = reference_logprobs - logprobs
    return torch.exp(difference) - difference - 1
