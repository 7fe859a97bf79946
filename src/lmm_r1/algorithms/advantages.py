"""Rewards to advantages: how good a completion is compared with its group.

Every function takes rewards `[P, G]`, P groups of G completions of the same prompt, and gives advantages `[P, G]`
in float32. A group whose rewards are all equal teaches nothing and gets zeros from each of them.
"""

from __future__ import annotations

import torch


def group_normalised(rewards: torch.Tensor, *, eps: float) -> torch.Tensor:
    """GRPO: `(r - mean) / (std + eps)` within each group, with the unbiased standard deviation.

    DeepSeekMath (arXiv 2402.03300), section 4.1.2. Peers differ in eps only: TRL 1e-4, verl 1e-6, OpenRLHF 1e-9.

    >>> group_normalised(torch.tensor([[1.0, 0.0, 1.0, 0.0]]), eps=0.0)
    tensor([[ 0.8660, -0.8660,  0.8660, -0.8660]])
    """
    rewards = _checked(rewards)
    centred = rewards - rewards.mean(dim=1, keepdim=True)
    scaled = centred / (rewards.std(dim=1, keepdim=True) + eps)
    # Written as a choice, not left to eps: rounding in the mean must not be blown up into an advantage.
    return torch.where(zero_variance(rewards)[:, None], torch.zeros_like(scaled), scaled)


def group_centred(rewards: torch.Tensor) -> torch.Tensor:
    """Dr. GRPO: `r - mean` within each group, not divided by the spread (arXiv 2503.20783, section 3.2)."""
    rewards = _checked(rewards)
    centred = rewards - rewards.mean(dim=1, keepdim=True)
    return torch.where(zero_variance(rewards)[:, None], torch.zeros_like(centred), centred)


def leave_one_out(rewards: torch.Tensor) -> torch.Tensor:
    """RLOO: each reward minus the mean of the others in its group (arXiv 2402.14740, equation 8)."""
    group_size = rewards.shape[1]
    return group_centred(rewards) * group_size / (group_size - 1)


def zero_variance(rewards: torch.Tensor) -> torch.Tensor:
    """`[P]` bool: the groups whose rewards `[P, G]` are all exactly equal."""
    return (rewards == rewards[:, :1]).all(dim=1)


def _checked(rewards: torch.Tensor) -> torch.Tensor:
    if rewards.ndim != 2 or rewards.shape[1] < 2:
        raise ValueError(f"rewards must be [P, G] with G >= 2, got {tuple(rewards.shape)}")
    return rewards.float()
