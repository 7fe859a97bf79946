"""Groups dealt out anew between the processes, so that none waits long for another's update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import lightning as L
import torch

from lmm_r1.training.distributed import gather_objects, without_images
from lmm_r1.types import Group, Problem

UNEVEN = 1.05
"""The largest share of tokens, in mean ones, from which groups travel: below, they cost more time than they save."""


def balanced(
    trainer: L.Trainer,
    groups: Sequence[Group],
    advantages: torch.Tensor,
    indices: Sequence[int],
    data: Sequence[Problem],
) -> tuple[list[Group], torch.Tensor]:
    """As many groups as before, of all processes', and their advantages; the whole batch stays what it is.

    Args:
        advantages: `[P, G]`, of this process's groups.
        indices: of the groups' problems in `data`: pictures do not travel, they are read again.
    """
    rank, world = trainer.global_rank, trainer.world_size
    sizes = gather_objects(trainer, [_tokens(group) for group in groups])
    loads = [sum(of_process) for of_process in sizes]
    if max(loads) * world <= UNEVEN * sum(loads):
        return list(groups), advantages
    parts = gather_objects(trainer, list(zip(without_images(groups), advantages, indices, strict=True)))
    everyone = [(process, place, *entry) for process, part in enumerate(parts) for place, entry in enumerate(part)]
    mine = [everyone[position] for position in deal([size for part in sizes for size in part], world)[rank]]
    own = [
        groups[place] if process == rank else replace(group, problem=data[index])
        for process, place, group, _, index in mine
    ]
    return own, torch.stack([row for _, _, _, row, _ in mine])


def deal(sizes: Sequence[int], processes: int) -> list[list[int]]:
    """For each process the positions of its groups: as many for each, of sizes as equal as can be.

    The largest first, each to the process with the least so far (Graham 1969, LPT) that has room for one more.
    """
    room = -(-len(sizes) // processes)
    shares: list[list[int]] = [[] for _ in range(processes)]
    loads = [0] * processes
    for position in sorted(range(len(sizes)), key=lambda position: (-sizes[position], position)):
        least = min((p for p in range(processes) if len(shares[p]) < room), key=lambda p: (loads[p], p))
        shares[least].append(position)
        loads[least] += sizes[position]
    return [sorted(share) for share in shares]


def _tokens(group: Group) -> int:
    """What an update computes of it: the prompt once."""
    return len(group.prompt_ids) + sum(len(completion.token_ids) for completion in group.completions)
