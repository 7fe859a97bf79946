"""Random ragged batches, and several processes that add up what each of them holds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import torch
from hypothesis import settings
from hypothesis import strategies as st

from tests.running import HANG_SECONDS

GARBAGE = [float("nan"), float("inf"), float("-inf"), 1e30]
"""What a padded position may hold."""


law = settings(max_examples=30)


class Batch(NamedTuple):
    """What every policy loss takes: `[B, T]` each, advantages `[B, 1]`; float64, so that laws are sharp."""

    logprobs: torch.Tensor
    old_logprobs: torch.Tensor
    advantages: torch.Tensor
    mask: torch.Tensor

    def rows(self, rows: torch.Tensor | slice) -> Batch:
        return Batch(*(tensor[rows] for tensor in self))

    def with_outside(self, value: float) -> Batch:
        """The same batch with `value` at every position outside the mask."""
        return self._replace(
            logprobs=torch.where(self.mask, self.logprobs, value),
            old_logprobs=torch.where(self.mask, self.old_logprobs, value),
        )


def ragged_mask(rows: int, tokens: int, generator: torch.Generator) -> torch.Tensor:
    lengths = torch.randint(1, tokens + 1, (rows, 1), generator=generator)
    return torch.arange(tokens) < lengths


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    rows, tokens = draw(st.integers(2, 6)), draw(st.integers(1, 7))
    old = -torch.rand(rows, tokens, generator=generator, dtype=torch.float64) * 3
    spread = draw(st.sampled_from([0.0, 0.1, 1.0]))
    moved = old + spread * torch.randn(rows, tokens, generator=generator, dtype=torch.float64)
    advantages = torch.randn(rows, 1, generator=generator, dtype=torch.float64)
    return Batch(moved, old, advantages, ragged_mask(rows, tokens, generator))


def on_processes(function: Callable[..., Any], *parts: tuple[torch.Tensor, ...]) -> list[Any]:
    """`function(*part, reduce=…)` for every part at the same time; `reduce` sums over all of them, as processes do."""
    barrier, slots = threading.Barrier(len(parts), timeout=HANG_SECONDS), [torch.empty(0)] * len(parts)

    def process(rank: int) -> Any:
        def reduce(tensor: torch.Tensor) -> torch.Tensor:
            slots[rank] = tensor
            barrier.wait()
            total = torch.stack(slots).sum(dim=0)
            barrier.wait()
            return total

        return function(*parts[rank], reduce=reduce)

    with ThreadPoolExecutor(len(parts)) as pool:
        return list(pool.map(process, range(len(parts))))
