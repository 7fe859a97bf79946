"""What the loader yields and the rollout callback fills: one RL step's batch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils.data import Sampler

from lmm_r1.rollout.engine import sampling_seed
from lmm_r1.rollout.outlines import read_or_fault
from lmm_r1.types import Experience, Group, Problem


@dataclass
class RolloutBatch:
    """P problems on their way through a step. The loader sets `problems`, the rollout callback the rest."""

    problems: list[Problem]
    groups: list[Group] = field(default_factory=list)
    experience: Experience | None = None
    rows: list[int] | None = None
    """Where the problems of the whole step stand in the data set, over all processes; None: where the schedule says."""


class PromptSchedule(Sampler[list[int]]):
    """Which problems each RL step asks: a pure function of the seed and the step.

    The data set is shuffled anew for every pass over it; a step takes the next P problems, and the processes share
    them out in turn. Being a function of the step, a resumed run goes on where it stopped with no loader state.

    Args:
        keys: a name for each problem. Given them, the order is that of their hashes, so that a problem which comes or
            goes does not reorder the others.
    """

    def __init__(
        self,
        *,
        size: int,
        prompts_per_step: int,
        steps: int,
        first_step: int,
        seed: int,
        rank: int,
        world_size: int,
        keys: Sequence[str] | None = None,
    ) -> None:
        self.size, self.prompts_per_step, self.seed, self.keys = size, prompts_per_step, seed, keys
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
        asked = set(self.asked(step))
        return [index for index in self._shuffled(sampling_seed(self.seed, step, -1)) if index not in asked]

    def _order(self, epoch: int) -> list[int]:
        if self._drawn[0] != epoch:
            self._drawn = (epoch, self._shuffled(self.seed * 1_000_003 + epoch))
        return self._drawn[1]

    def _shuffled(self, seed: int) -> list[int]:
        if self.keys is None:
            return torch.randperm(self.size, generator=torch.Generator().manual_seed(seed)).tolist()
        hashes = [hashlib.blake2b(f"{seed}/{key}".encode(), digest_size=8).digest() for key in self.keys]
        return sorted(range(self.size), key=hashes.__getitem__)


class StepLoader:
    """One batch a step, its entries read in a thread while the step before is at work.

    Reading is decoding pictures, which leaves the interpreter to others. A `BadRowError` stands in the batch in place
    of its entry, see `training.bad_rows`; any other error is raised when the batch is due. Lightning fetches no batch
    ahead of the policy, because the loader is sized.
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
        return [read_or_fault(self.dataset.__getitem__, index) for index in indices]
