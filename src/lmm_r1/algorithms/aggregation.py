"""How the losses of tokens become one number.

Each function takes the mask `[N, T]` of the sampled tokens and gives two things: a weight for each token `[N, T]`
and the count by which their weighted sum is divided. The division is by the count of the *whole mini-batch over all
processes*, never of a micro-batch, so that loss and gradient do not depend on how a mini-batch was split: peers
that divided within the micro-batch shipped exactly that fault.
"""

from __future__ import annotations

import torch


def token_mean(mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Every token of the mini-batch weighs the same (DAPO, arXiv 2503.14476, equation 8)."""
    weights = mask.float()
    return weights, weights.sum()


def sequence_mean(mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean over each completion's tokens, then over completions (GRPO, arXiv 2402.03300, equation 3)."""
    weights = mask.float()
    lengths = weights.sum(dim=1, keepdim=True).clamp(min=1)
    return weights / lengths, torch.tensor(float(mask.shape[0]), device=mask.device)


def constant_length(mask: torch.Tensor, *, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The sum over each completion's tokens divided by a constant length (Dr. GRPO, arXiv 2503.20783, section 3.1)."""
    return mask.float() / length, torch.tensor(float(mask.shape[0]), device=mask.device)
