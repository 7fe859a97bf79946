"""Rewards to advantages: how good a completion is compared with its group.

Every function takes rewards `[P, G]`, P groups of G completions of the same prompt, and gives advantages `[P, G]`
in float32. A group whose rewards are all equal teaches nothing and gets zeros from each of them, `uncentred` excepted,
whose comparison comes later; an estimator that whitens them afterwards (`training.estimators`) moves the zeros again.
`reduce` sums a tensor over processes, for the functions that look beyond the group.
"""

from __future__ import annotations

import torch

from lmm_r1.algorithms.moments import Reduce, identity, moments


def group_normalised(rewards: torch.Tensor, *, eps: float, ddof: int = 1) -> torch.Tensor:
    """GRPO: `(r - mean) / (std + eps)` within each group; `ddof` 1 makes the standard deviation the unbiased one.

    DeepSeekMath (arXiv 2402.03300), section 4.1.2, which names neither eps nor the kind of deviation. Peers all take
    ddof 1 and differ in eps: TRL 1e-4, verl 1e-6, OpenRLHF 1e-9.

    >>> group_normalised(torch.tensor([[1.0, 0.0, 1.0, 0.0]]), eps=0.0)
    tensor([[ 0.8660, -0.8660,  0.8660, -0.8660]])
    """
    rewards = _checked(rewards)
    spread = rewards.std(dim=1, keepdim=True, correction=ddof)
    return _zero_without_variance(rewards, (rewards - rewards.mean(dim=1, keepdim=True)) / (spread + eps))


def group_centred(rewards: torch.Tensor) -> torch.Tensor:
    """Dr. GRPO: `r - mean` within each group, not divided by the spread (arXiv 2503.20783, section 3.2).

    REINFORCE++-baseline (arXiv 2501.03262) starts from the same and whitens over tokens: `returns.whitened`.
    """
    rewards = _checked(rewards)
    return _zero_without_variance(rewards, rewards - rewards.mean(dim=1, keepdim=True))


def batch_normalised(rewards: torch.Tensor, *, eps: float, reduce: Reduce = identity) -> torch.Tensor:
    """`(r - group mean) / (batch std + eps)`: the spread is that of all rewards of the batch of all processes.

    Groups of little spread, nearly all right or nearly all wrong, are not blown up. "Tricks or Traps?"
    (arXiv 2508.08221); TRL's `scale_rewards="batch"`, with eps 1e-4. As there, the deviation is the unbiased one of the
    rewards themselves, around the mean of the batch.
    """
    centred = group_centred(rewards)
    _, variance = moments(rewards, torch.ones_like(rewards, dtype=torch.bool), ddof=1, reduce=reduce)
    return (centred / (variance.sqrt() + eps)).float()


def leave_one_out(rewards: torch.Tensor) -> torch.Tensor:
    """RLOO: each reward minus the mean of the others in its group (arXiv 2402.14740, equation 8)."""
    group_size = rewards.shape[1]
    return group_centred(rewards) * group_size / (group_size - 1)


def uncentred(rewards: torch.Tensor) -> torch.Tensor:
    """The rewards themselves, where the baseline is not the group's.

    REINFORCE++ (arXiv 2501.03262) whitens over the batch (`returns.whitened`), PPO (arXiv 1707.06347) subtracts a
    critic's values (`returns.generalised_advantages`). Groups of one are fine here.
    """
    if rewards.ndim != 2:
        raise ValueError(f"rewards must be [P, G], got {tuple(rewards.shape)}")
    return rewards.float()


def decoupled_normalised(
    terms: torch.Tensor, weights: torch.Tensor, *, eps: float, reduce: Reduce = identity
) -> torch.Tensor:
    """GDPO: each reward term normalised within its group, their weighted sum, then divided by its spread in the batch.

    GDPO (arXiv 2601.05242): normalising the *sum* gives different mixtures of terms one and the same advantage. With
    `A_k = (r_k - mean) / (std + eps)` and `A = Σ_k w_k·A_k`, the advantage is `A / (batch std of A + eps)`, so that its
    scale does not grow with the number of terms. The batch mean which the paper subtracts is 0, because every group
    sums to 0; leaving it out keeps a group without variance at exactly 0.

    TRL 1.16 (`multi_objective_aggregation="normalize_then_sum"`) does this over completions, with eps 1e-4. verl 0.9.1
    (`gdpo`, eps 1e-6) whitens over *tokens*: there, long completions weigh more and the mean is not 0.

    Args:
        terms: `[K, P, G]`, the rewards of K terms, unweighted.
        weights: `[K]`.
        reduce: sums over processes; the last division is by the spread in the batch of all of them.
    """
    if terms.ndim != 3 or weights.shape != terms.shape[:1]:
        raise ValueError(
            f"terms must be [K, P, G] and weights [K], got {tuple(terms.shape)} and {tuple(weights.shape)}"
        )
    normalised = torch.stack([group_normalised(term, eps=eps) for term in terms])
    total = (weights.float()[:, None, None] * normalised).sum(dim=0)
    _, variance = moments(total, torch.ones_like(total, dtype=torch.bool), ddof=1, reduce=reduce)
    return (total / (variance.sqrt() + eps)).float()


def zero_variance(rewards: torch.Tensor) -> torch.Tensor:
    """`[P]` bool: the groups whose rewards `[P, G]` are all exactly equal."""
    return (rewards == rewards[:, :1]).all(dim=1)


def _zero_without_variance(rewards: torch.Tensor, advantages: torch.Tensor) -> torch.Tensor:
    # Written as a choice, not left to eps: rounding in the mean must not be blown up into an advantage.
    return torch.where(zero_variance(rewards)[:, None], torch.zeros_like(advantages), advantages)


def _checked(rewards: torch.Tensor) -> torch.Tensor:
    if rewards.ndim != 2 or rewards.shape[1] < 2:
        raise ValueError(f"rewards must be [P, G] with G >= 2, got {tuple(rewards.shape)}")
    return rewards.float()
