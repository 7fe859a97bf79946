"""Accuracy on held-out problems, through the same engine and the same rewards as training."""

from __future__ import annotations

from collections.abc import Sequence

import lightning as L
from torch import nn

from lmm_r1.evaluation.results import accuracy_metrics
from lmm_r1.rollout.engine import sampling_seed
from lmm_r1.rollout.store import RolloutStore
from lmm_r1.training.distributed import gather_objects, without_images
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
    ) -> None:
        self.sampler, self.data, self.sampling, self.store = sampler, data, sampling, store
        self.batch_size, self.seed = batch_size, seed

    def validate(self, trainer: L.Trainer, policy: nn.Module, step: int) -> tuple[dict[str, float], list[Group]]:
        """Metrics over all processes, by rendering and family, and the groups of this process.

        Every validation asks the same problems with the same seeds, so that two of them differ by the policy alone.
        """
        self.sampler.sync(policy, step)
        mine = range(trainer.global_rank, len(self.data), trainer.world_size)
        groups: list[Group] = []
        with self.sampler.phases("validation"):
            for start in range(0, len(mine), self.batch_size):
                indices = mine[start : start + self.batch_size]
                seeds = [sampling_seed(self.seed, 0, index) for index in indices]
                groups += self.sampler.sample([self.data[index] for index in indices], self.sampling, seeds)
            self.store.write(groups, step, trainer.global_rank)
        everyone = [group for part in gather_objects(trainer, without_images(groups)) for group in part]
        return accuracy_metrics(everyone), groups
