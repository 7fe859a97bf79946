"""DAPO's dynamic sampling: further problems in place of those that teach nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any

import lightning as L

from lmm_r1.algorithms.advantages import zero_variance
from lmm_r1.errors import BadRowError
from lmm_r1.rollout.outlines import read_or_fault
from lmm_r1.training.batch import PromptSchedule
from lmm_r1.training.collate import rewards_of
from lmm_r1.training.distributed import gather_objects, without_images
from lmm_r1.types import Group, Problem


@dataclass(frozen=True)
class Filled:
    """A batch after dynamic sampling, as one process sees it."""

    groups: list[Group]
    """This process's share of the batch, of the size that it was asked for."""
    indices: list[int] | None
    """Where their problems stand in the data set; None where they are the schedule's own."""
    sampled: list[Group]
    """All that this process sampled for it."""
    metrics: dict[str, float]
    """What it cost, over all processes."""
    bad: dict[int, BadRowError] = field(default_factory=dict)
    """What of the further problems could not be read, by its place in the data set; the same in every process."""


class DynamicSampling:
    """Asks further problems until the rewards of every group differ (DAPO, arXiv 2503.14476, section 3.2).

    Groups come in the order in which they were asked, whichever process sampled them, and the first that differ make
    the batch: neither the number of processes nor an interruption changes it. When `rounds` rounds were not enough, or
    the data set is exhausted, groups without variance fill the rest. Their advantages are 0, and every process still
    has as many completions as it was promised.
    """

    def __init__(self, schedule: PromptSchedule, data: Sequence[Problem], *, rounds: int) -> None:
        self.schedule, self.data, self.rounds = schedule, data, rounds

    def fill(
        self,
        trainer: L.Trainer,
        step: int,
        groups: Sequence[Group],
        sample: Callable[[Sequence[Problem], Sequence[int]], list[Group]],
        asked: Sequence[int] | None = None,
    ) -> Filled:
        """Args:
        groups: this process's share of step `step`, scored.
        sample: problems, and their positions in the step, to scored groups; every process calls it in every round.
        asked: where the problems of the step stand in the data set; None: where the schedule says.
        """
        rank, world = trainer.global_rank, trainer.world_size
        asked = list(asked or self.schedule.asked(step))
        spare, wanted = [row for row in self.schedule.spare(step) if row not in set(asked)], len(asked)
        mine = {rank + world * place: group for place, group in enumerate(groups)}
        everyone = list(_together(trainer, dict(zip(mine, without_images(groups), strict=True))).values())
        rounds, bad = 0, {}
        while (missing := wanted - len(_varied(everyone))) > 0 and spare and rounds < self.rounds:
            rounds += 1
            further, spare = spare[:missing], spare[missing:]
            read = {place: self._read(further[place]) for place in range(rank, len(further), world)}
            faults = _together(trainer, {place: row for place, row in read.items() if isinstance(row, BadRowError)})
            bad |= {further[place]: fault for place, fault in faults.items()}
            readable = [place for place in range(len(further)) if place not in faults]
            positions = {place: len(asked) + number for number, place in enumerate(readable) if place in read}
            sampled = sample([read[place] for place in positions], list(positions.values()))
            mine |= dict(zip(positions.values(), sampled, strict=True))
            groups_of = dict(zip(positions, without_images(sampled), strict=True))
            everyone += _together(trainer, groups_of).values()
            asked += [further[place] for place in readable]
        varied = _varied(everyone)
        silent = [position for position in range(len(everyone)) if position not in set(varied)]
        share = [*varied, *silent][:wanted][rank::world]
        return Filled(
            groups=[mine.get(position) or self._whole(everyone, asked, position) for position in share],
            indices=[asked[position] for position in share],
            sampled=list(mine.values()),
            metrics={"groups/sampled": float(len(everyone)), "groups/rounds": float(rounds)},
            bad=bad,
        )

    def _read(self, row: int) -> Problem | BadRowError:
        return read_or_fault(self.data.__getitem__, row)

    def _whole(self, everyone: Sequence[Group], asked: Sequence[int], position: int) -> Group:
        """Another process's group, with its pictures again."""
        return replace(everyone[position], problem=self.data[asked[position]])


def _together(trainer: L.Trainer, parts: dict[int, Any]) -> dict[int, Any]:
    """What the processes have by place, in the order of places."""
    return dict(sorted((entry for part in gather_objects(trainer, parts) for entry in part.items()), key=itemgetter(0)))


def _varied(groups: Sequence[Group]) -> list[int]:
    """The positions of the groups whose rewards differ."""
    return (~zero_variance(rewards_of(groups))).nonzero().flatten().tolist()
