"""What an update measures: means that grow micro-batch by micro-batch and meet over processes once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch


class UpdateMetrics:
    """Adds up a step's diagnostics on the device, to be reduced over processes in one go.

    Every process names the same quantities in the same order; one that nobody added to does not appear in the result.
    """

    def __init__(self, names: Sequence[str], device: torch.device) -> None:
        self.rows = {name: row for row, name in enumerate(names)}
        self.totals = torch.zeros(len(names), dtype=torch.float32, device=device)
        self.weights = torch.zeros_like(self.totals)

    def empty(self) -> UpdateMetrics:
        """The same quantities, with nothing added yet."""
        return UpdateMetrics(tuple(self.rows), self.totals.device)

    def include(self, other: UpdateMetrics) -> None:
        """Add all that was added to `other`."""
        self.totals += other.totals
        self.weights += other.weights

    def add(self, name: str, total: torch.Tensor | float, weight: torch.Tensor | float) -> None:
        """Let `total`, a sum of `weight` values, take part in the mean of `name`."""
        self.totals[self.rows[name]] += total.detach() if isinstance(total, torch.Tensor) else total
        self.weights[self.rows[name]] += weight

    def add_tokens(self, mask: torch.Tensor, **per_token: torch.Tensor) -> None:
        """Let the sampled tokens of `[B, T]` quantities take part in the means of `policy/<name>`."""
        tokens = mask.sum()
        for name, values in per_token.items():
            self.add(f"policy/{name}", values.detach().float().mul(mask).sum(), tokens)

    def means(self, reduce: Callable[[torch.Tensor], torch.Tensor]) -> dict[str, float]:
        """The means over all processes. Args: `reduce` sums a tensor over them."""
        totals, weights = reduce(torch.stack([self.totals, self.weights])).tolist()
        return {name: totals[row] / weights[row] for name, row in self.rows.items() if weights[row] > 0}
