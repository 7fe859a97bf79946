"""Weights for the difference between the sampler's probabilities and the trainer's.

The engine that samples and the model that trains compute the same policy with different kernels, and their
log-probabilities differ. Each function takes the trainer's at the rollout, `old_logprobs` `[B, T]`, and the sampler's
own, `sampler_logprobs` `[B, T]`, and gives weights `[B, T]` without a gradient, to multiply the policy term with (not
the KL term). They are 0 outside the mask, whatever stands there.

Truncating caps a weight (E. Ionides, "Truncated Importance Sampling", 2008): every token keeps teaching, with a small
bias. Masking drops what is out of range. "Sequence" means the *product* of a completion's token ratios,
`exp(Σ log ratio)`, as in TRL and verl: unbiased, and the further from 1 the longer the completion.

Defaults elsewhere: TRL, with vLLM, `sequence_masked` with high 3.0 and no low; verl off, cap 2.0; OpenRLHF off, 0.5 to
5.0; ms-swift off, cap 2.0.
"""

from __future__ import annotations

import torch

from lmm_r1.algorithms.ratios import log_ratio, ratio


@torch.no_grad()
def token_truncated(
    old_logprobs: torch.Tensor, sampler_logprobs: torch.Tensor, mask: torch.Tensor, *, cap: float
) -> torch.Tensor:
    """`min(π_old/π_sampler, cap)` for each token: truncated importance sampling."""
    weights = ratio(log_ratio(old_logprobs, sampler_logprobs, mask))
    return weights.clamp(max=cap) * mask


@torch.no_grad()
def token_masked(
    old_logprobs: torch.Tensor, sampler_logprobs: torch.Tensor, mask: torch.Tensor, *, low: float, high: float
) -> torch.Tensor:
    """`π_old/π_sampler` for each token where it lies in `[low, high]`, else 0: IcePop (arXiv 2510.18855)."""
    return _kept(ratio(log_ratio(old_logprobs, sampler_logprobs, mask)), low, high) * mask


@torch.no_grad()
def sequence_truncated(
    old_logprobs: torch.Tensor, sampler_logprobs: torch.Tensor, mask: torch.Tensor, *, cap: float
) -> torch.Tensor:
    """`min(Π π_old/π_sampler, cap)`, the same for all tokens of a completion."""
    return _products(old_logprobs, sampler_logprobs, mask).clamp(max=cap) * mask


@torch.no_grad()
def sequence_masked(
    old_logprobs: torch.Tensor, sampler_logprobs: torch.Tensor, mask: torch.Tensor, *, low: float, high: float
) -> torch.Tensor:
    """`Π π_old/π_sampler` where it lies in `[low, high]`, else 0 for the whole completion."""
    return _kept(_products(old_logprobs, sampler_logprobs, mask), low, high) * mask


def _products(old_logprobs: torch.Tensor, sampler_logprobs: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """`[B, 1]`: the ratios of whole completions."""
    return ratio(log_ratio(old_logprobs, sampler_logprobs, mask).sum(dim=1, keepdim=True))


def _kept(weights: torch.Tensor, low: float, high: float) -> torch.Tensor:
    return weights * ((weights >= low) & (weights <= high))
