"""What the loader yields and the rollout callback fills: one RL step's batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils.data import DataLoader, Sampler

from lmm_r1.types import Experience, Group, Problem


@dataclass
class RolloutBatch:
    """P problems on their way through a step. The loader sets `problems`, the rollout callback the rest."""

    problems: list[Problem]
    groups: list[Group] = field(default_factory=list)
    experience: Experience | None = None


class PromptSchedule(Sampler[list[int]]):
    """Which problems each RL step asks: a pure function of the seed and the step.

    The data set is shuffled anew for every pass over it; a step takes the next P problems, and the processes share
    them out in turn. Being a function of the step, a resumed run goes on where it stopped with no loader state.
    """

    def __init__(
        self, *, size: int, prompts_per_step: int, steps: int, first_step: int, seed: int, rank: int, world_size: int
    ) -> None:
        self.size, self.prompts_per_step, self.seed = size, prompts_per_step, seed
        self.steps, self.first_step = steps, first_step
        self.rank, self.world_size = rank, world_size

    def __len__(self) -> int:
        return max(0, self.steps - self.first_step)

    def __iter__(self) -> Iterator[list[int]]:
        epoch, order = -1, torch.empty(0)
        for step in range(self.first_step, self.steps):
            chosen = []
            for position in range(step * self.prompts_per_step, (step + 1) * self.prompts_per_step):
                if position // self.size != epoch:
                    epoch = position // self.size
                    generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
                    order = torch.randperm(self.size, generator=generator)
                chosen.append(int(order[position % self.size]))
            yield chosen[self.rank :: self.world_size]


def schedule_loader(
    dataset: Sequence[Any], schedule: PromptSchedule, collate: Callable[[list[Any]], Any]
) -> DataLoader:
    """A loader of one batch a step. It is sized, so that Lightning does not fetch a batch ahead of the policy.

    With a generator of its own: each new iterator draws a number, and from torch's global state a resumed run would
    draw one more than the run that was not interrupted.
    """
    return DataLoader(dataset, batch_sampler=schedule, collate_fn=collate, num_workers=0, generator=torch.Generator())
