"""Estimates of KL(policy ‖ reference) from the sampled tokens alone.

J. Schulman, "Approximating KL Divergence" (2020). Each takes the policy's log-probabilities `[B, T]`, which carry
the gradient, and the reference policy's `[B, T]`, and gives an estimate for each token `[B, T]`. Write
`d = log π_ref - log π`. What holds on average over tokens that the policy itself sampled:

| estimator | value | gradient, as a term of the loss |
| --- | --- | --- |
| `k1` | the divergence | 0: no penalty at all; `k1` belongs into the reward |
| `k2` | biased | that of the divergence |
| `k3` | the divergence | that of KL(reference ‖ policy), the other direction |
| `k3_straight_through` | the divergence | that of the divergence |
| `importance_weighted` of `k1` or `k3` | the divergence | that of the divergence, off the policy too |

There is no mask here: outside it, both arguments must hold finite numbers, which the aggregation then weighs with 0.
"""

from __future__ import annotations

import torch

from lmm_r1.algorithms.ratios import LARGEST_LOG_RATIO, ratio


def k1(logprobs: torch.Tensor, reference_logprobs: torch.Tensor) -> torch.Tensor:
    """`-d`: unbiased, of high variance, negative at times. As a loss its gradient has mean zero.

    In the reward (`returns.token_rewards`) its policy gradient is that of the divergence: LMM-R1's and OpenRLHF's
    choice, and TRL's in `RLOOTrainer`.
    """
    return logprobs - reference_logprobs


def k2(logprobs: torch.Tensor, reference_logprobs: torch.Tensor) -> torch.Tensor:
    """`d² / 2`: biased, but its gradient is that of the divergence."""
    return (logprobs - reference_logprobs).square() / 2


def k3(logprobs: torch.Tensor, reference_logprobs: torch.Tensor) -> torch.Tensor:
    """`e^d - d - 1`: unbiased and never negative; its gradient is that of KL(reference ‖ policy).

    GRPO's choice (DeepSeekMath, arXiv 2402.03300, equation 4) and the default of TRL's `GRPOTrainer`, which multiplies
    it by the ratio as well (`importance_weighted`). From d = 20 (`LARGEST_LOG_RATIO`) on it is constant, 4.9e8, without
    a gradient: beyond d = 88 its exponential would be infinite. TRL has no bound; verl (`low_var_kl`) clamps d to ±20
    and the result to 10, OpenRLHF the result to ±10, which bends what policies do meet; that is not done here.
    """
    difference = (reference_logprobs - logprobs).clamp(max=LARGEST_LOG_RATIO)
    return torch.exp(difference) - difference - 1


def k3_straight_through(logprobs: torch.Tensor, reference_logprobs: torch.Tensor) -> torch.Tensor:
    """The value of `k3` with the gradient of `k2`, so that both are right on average. verl's `k3+`."""
    gradient = k2(logprobs, reference_logprobs)
    return gradient - gradient.detach() + k3(logprobs, reference_logprobs).detach()


def importance_weighted(estimate: torch.Tensor, logprobs: torch.Tensor, old_logprobs: torch.Tensor) -> torch.Tensor:
    """`r·estimate` with `r = π/π_old`, which carries a gradient: unbiased on tokens that the old policy sampled.

    DeepSeek-V3.2 (arXiv 2512.02556) for `k3`; TRL's `use_bias_correction_kl`, on by default. It matters at r = 1 too:
    the gradient of r is what turns that of `k3` into the divergence's.

    Args:
        estimate: `[B, T]`, what `k1` or `k3` gave.
        logprobs: `[B, T]` of the policy in training.
        old_logprobs: `[B, T]` of the policy before the update.
    """
    return ratio(logprobs - old_logprobs) * estimate
