"""Mean and variance over the tokens or completions of a batch that several processes hold between them."""

from __future__ import annotations

from collections.abc import Callable

import torch

Reduce = Callable[[torch.Tensor], torch.Tensor]
"""Sums a tensor over all processes: every process puts in its part and gets the same total."""


def identity(tensor: torch.Tensor) -> torch.Tensor:
    """The `Reduce` of a single process."""
    return tensor


def moments(
    values: torch.Tensor, mask: torch.Tensor, *, ddof: int, reduce: Reduce = identity
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance, two float64 scalars, of `values` where `mask` holds, over all processes.

    The variance is divided by the count less `ddof`, and is 0 where that leaves nothing to divide by. What `values`
    holds outside the mask has no influence, NaN and infinity included. Two passes in float64: on a batch whose values
    are nearly equal, a sum of squares in float32 would leave rounding alone.
    """
    values = torch.where(mask, values.double(), 0.0)
    count, total = reduce(torch.stack([mask.sum().double(), values.sum()]))
    mean = total / count.clamp(min=1)
    squares = torch.where(mask, (values - mean).square(), 0.0).sum()
    return mean, reduce(squares) / (count - ddof).clamp(min=1)
