"""The critic's loss, and how much of the returns it explains."""

from __future__ import annotations

import torch

from lmm_r1.algorithms.moments import Reduce, identity, moments


def value_loss(
    values: torch.Tensor, old_values: torch.Tensor, returns: torch.Tensor, mask: torch.Tensor, *, clip: float | None
) -> torch.Tensor:
    """`[B, T]`: half the squared error of each token's value, the worse of the value and its clipped form.

    `max((V - R)², (clip(V, V_old - clip, V_old + clip) - R)²) / 2`, 0 outside the mask: the value loss of OpenAI's PPO
    code, which the paper (arXiv 1707.06347) does not print. A value that has moved further than `clip` towards its
    return has no gradient. verl (0.5) and LMM-R1's own code (0.2) have the same; None never clips.

    Args:
        values: `[B, T]`, of the critic in training; carries the gradient.
        old_values: `[B, T]`, of the critic at the rollout, from which the advantages were made.
        returns: `[B, T]`.
        mask: `[B, T]` bool.
        clip: how far a value may move before its loss stops rewarding it.
    """
    values, old_values, returns = (tensor.masked_fill(~mask, 0.0) for tensor in (values, old_values, returns))
    loss = (values - returns).square()
    if clip is not None:
        clipped = values.clamp(old_values - clip, old_values + clip)
        loss = torch.maximum(loss, (clipped - returns).square())
    return loss / 2


@torch.no_grad()
def explained_variance(
    values: torch.Tensor, returns: torch.Tensor, mask: torch.Tensor, reduce: Reduce = identity
) -> torch.Tensor:
    """`1 - Var(returns - values) / Var(returns)` over the sampled tokens of all processes, a float32 scalar.

    1 is a perfect critic, 0 one that knows no more than the mean; below 0, worse than none. NaN where all returns are
    equal and there is nothing to explain.
    """
    _, unexplained = moments(returns - values, mask, ddof=0, reduce=reduce)
    _, total = moments(returns, mask, ddof=0, reduce=reduce)
    return torch.where(total > 0, 1 - unexplained / total, torch.nan).float()
