"""What the loader yields and the rollout callback fills: one RL step's batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils.data import Sampler

from lmm_r1.rollout.engine import sampling_seed
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
        self._drawn: tuple[int, list[int]] = (-1, [])

    def __len__(self) -> int:
        return max(0, self.steps - self.first_step)

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.first_step, self.steps):
            yield self.asked(step)[self.rank :: self.world_size]

    def asked(self, step: int) -> list[int]:
        """The problems of a step, over all processes."""
        positions = range(step * self.prompts_per_step, (step + 1) * self.prompts_per_step)
        return [self._order(position // self.size)[position % self.size] for position in positions]

    def spare(self, step: int) -> list[int]:
        """The problems that a step does not ask, in an order of the step's own: what may take the place of others."""
        generator = torch.Generator().manual_seed(sampling_seed(self.seed, step, -1))
        asked = set(self.asked(step))
        return [index for index in torch.randperm(self.size, generator=generator).tolist() if index not in asked]

    def _order(self, epoch: int) -> list[int]:
        if self._drawn[0] != epoch:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
            self._drawn = (epoch, torch.randperm(self.size, generator=generator).tolist())
        return self._drawn[1]


class StepLoader:
    """One batch a step, its entries read in a thread while the step before is at work.

    Reading is decoding pictures, which leaves the interpreter to others. An error in it is raised when the batch is
    due. Lightning fetches no batch ahead of the policy, because the loader is sized.
    """

    def __init__(self, dataset: Sequence[Any], schedule: PromptSchedule, collate: Callable[[list[Any]], Any]) -> None:
        self.dataset, self.schedule, self.collate = dataset, schedule, collate

    def __len__(self) -> int:
        return len(self.schedule)

    def __iter__(self) -> Iterator[Any]:
        with ThreadPoolExecutor(1, thread_name_prefix="data") as ahead:
            coming: list[Future[list[Any]]] = []
            for indices in self.schedule:
                coming.append(ahead.submit(self._read, indices))
                if len(coming) == 2:
                    yield self.collate(coming.pop(0).result())
            for last in coming:
                yield self.collate(last.result())

    def _read(self, indices: list[int]) -> list[Any]:
        return [self.dataset[index] for index in indices]
