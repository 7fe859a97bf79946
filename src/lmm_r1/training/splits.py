"""A rollout cut into optimiser steps."""

from __future__ import annotations

import torch


def mini_batches(
    group_index: torch.Tensor, count: int, *, seed: int, step: int, inner_epoch: int
) -> list[torch.Tensor]:
    """The rows of each of `count` optimiser steps: all at once, or a shuffle that seed, step and epoch decide.

    Groups `[N]` are shuffled whole, so that a prompt is computed in one step alone; steps are of equal size, and a
    group is cut where one ends.
    """
    if count == 1:
        return [torch.arange(len(group_index))]
    generator = torch.Generator().manual_seed((seed * 1_000_003 + step) * 1_009 + inner_epoch)
    turn = torch.randperm(int(group_index.max()) + 1, generator=generator)
    return list(turn[group_index].argsort(stable=True).chunk(count))
