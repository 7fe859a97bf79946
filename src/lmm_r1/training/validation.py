"""Accuracy on held-out problems, through the same engine and the same rewards as training."""

from __future__ import annotations

from collections.abc import Sequence

import lightning as L
from torch import nn

from lmm_r1.errors import BadRowError
from lmm_r1.evaluation.results import accuracy_metrics
from lmm_r1.rollout.engine import sampling_seed
from lmm_r1.rollout.outlines import read_or_fault
from lmm_r1.rollout.store import RolloutStore
from lmm_r1.training.bad_rows import BadRows
from lmm_r1.training.distributed import agreed, gather_objects, without_images
from lmm_r1.training.sampler import PolicySampler
from lmm_r1.types import Group, Problem, Sampling


class Validator:
    """Asks every validation problem, shared out between the processes, and stores the answers."""

    def __init__(
        self,
        sampler: PolicySampler,
        data: Sequence[Problem],
        sampling: Sampling,
        store: RolloutStore,
        *,
        batch_size: int,
        seed: int,
        bad_rows: BadRows | None = None,
    ) -> None:
        self.sampler, self.data, self.sampling, self.store = sampler, data, sampling, store
        self.batch_size, self.seed = batch_size, seed
        self.bad_rows = bad_rows or BadRows()

    def validate(self, trainer: L.Trainer, policy: nn.Module, step: int) -> tuple[dict[str, float], list[Group]]:
        """Metrics over all processes, by rendering and family, and the groups of this process.

        Every validation asks the same problems with the same seeds, so that two of them differ by the policy alone.
        Rows that cannot be asked count in `validation/not_answered` and nowhere else.
        """
        self.sampler.sync(policy, step)
        with self.sampler.phases("validation"):
            groups, bad = agreed(trainer, lambda: self._answers(trainer))
            self.store.write(groups, step, trainer.global_rank)
        parts = gather_objects(trainer, (without_images(groups), bad))
        everyone = [group for groups, _ in parts for group in groups]
        faults = {place: fault for _, bad in parts for place, fault in bad.items()}
        known = getattr(self.data, "bad", {})
        found = {place: faults[place] for place in sorted(faults) if place not in known}
        self.bad_rows.note(trainer, step, self.data, found, "validation")
        return accuracy_metrics(everyone) | {"validation/not_answered": float(len(faults))}, groups

    def _answers(self, trainer: L.Trainer) -> tuple[list[Group], dict[int, BadRowError]]:
        """This process's answers, and what could not be asked, by place."""
        mine = range(trainer.global_rank, len(self.data), trainer.world_size)
        groups: list[Group] = []
        bad: dict[int, BadRowError] = {}
        for start in range(0, len(mine), self.batch_size):
            read = {
                index: read_or_fault(self.data.__getitem__, index) for index in mine[start : start + self.batch_size]
            }
            faults = {index: fault for index, fault in read.items() if isinstance(fault, BadRowError)}
            askable = [index for index in read if index not in faults]
            bad |= faults
            if askable:
                seeds = [sampling_seed(self.seed, 0, index) for index in askable]
                groups += self.sampler.sample([read[index] for index in askable], self.sampling, seeds)
        return groups, bad
