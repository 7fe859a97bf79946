"""DAPO's dynamic sampling: further problems in place of those that teach nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import lightning as L

from lmm_r1.algorithms.advantages import zero_variance
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
    ) -> Filled:
        """Args:
        groups: this process's share of step `step`, scored.
        sample: problems, and their positions in the step, to scored groups.
        """
        rank, world = trainer.global_rank, trainer.world_size
        asked = self.schedule.asked(step)
        spare, wanted = self.schedule.spare(step), len(asked)
        mine = {rank + world * place: group for place, group in enumerate(groups)}
        everyone = _in_order(gather_objects(trainer, without_images(groups)))
        rounds = 0
        while (missing := wanted - len(_varied(everyone))) > 0 and spare and rounds < self.rounds:
            rounds += 1
            further, spare = spare[:missing], spare[missing:]
            places = range(rank, len(further), world)
            positions = [len(asked) + place for place in places]
            sampled = sample([self.data[further[place]] for place in places], positions) if positions else []
            mine |= dict(zip(positions, sampled, strict=True))
            everyone += _in_order(gather_objects(trainer, without_images(sampled)))
            asked = [*asked, *further]
        varied = _varied(everyone)
        silent = [position for position in range(len(everyone)) if position not in set(varied)]
        share = [*varied, *silent][:wanted][rank::world]
        return Filled(
            groups=[mine.get(position) or self._whole(everyone, asked, position) for position in share],
            indices=[asked[position] for position in share],
            sampled=list(mine.values()),
            metrics={"groups/sampled": float(len(everyone)), "groups/rounds": float(rounds)},
        )

    def _whole(self, everyone: Sequence[Group], asked: Sequence[int], position: int) -> Group:
        """Another process's group, with its pictures again."""
        return replace(everyone[position], problem=self.data[asked[position]])


def _in_order(parts: Sequence[Sequence[Group]]) -> list[Group]:
    """Process r holds the positions r, r + processes, …"""
    return [parts[place % len(parts)][place // len(parts)] for place in range(sum(map(len, parts)))]


def _varied(groups: Sequence[Group]) -> list[int]:
    """The positions of the groups whose rewards differ."""
    return (~zero_variance(rewards_of(groups))).nonzero().flatten().tolist()
