"""From problems to an experience: the left-hand side of the paper's algorithm box."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import lightning as L
from torch import Tensor
from transformers import ProcessorMixin

from lmm_r1.algorithms.advantages import zero_variance
from lmm_r1.errors import UserError
from lmm_r1.rollout.background_writer import BackgroundWriter
from lmm_r1.rollout.engine import sampling_seed
from lmm_r1.rollout.store import RolloutStore
from lmm_r1.training.bad_rows import BadRows
from lmm_r1.training.balance import balanced
from lmm_r1.training.batch import RolloutBatch
from lmm_r1.training.collate import collate, rewards_of
from lmm_r1.training.distributed import agreed
from lmm_r1.training.dynamic_sampling import DynamicSampling, Filled
from lmm_r1.training.group_advantages import group_advantages
from lmm_r1.training.module import GRPOModule
from lmm_r1.training.rollout_metrics import rollout_metrics
from lmm_r1.training.sampler import PolicySampler
from lmm_r1.training.settings import AlgorithmSettings
from lmm_r1.types import Group, Problem, Sampling

log = logging.getLogger(__name__)


class RolloutCallback(L.Callback):
    """Fills each batch with an experience sampled by the current policy."""

    def __init__(
        self,
        sampler: PolicySampler,
        algorithm: AlgorithmSettings,
        processor: ProcessorMixin,
        sampling: Sampling,
        store: RolloutStore,
        *,
        seed: int,
        bad_rows: BadRows | None = None,
    ) -> None:
        """Args: `bad_rows` stands before this among the callbacks, and completes the batch."""
        self.sampler, self.algorithm, self.processor = sampler, algorithm, processor
        self.sampling, self.seed = sampling, seed
        self._writer = BackgroundWriter(store)
        self.bad_rows = bad_rows or BadRows()
        self.metrics: dict[str, float] = {}

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: GRPOModule, batch: RolloutBatch, batch_idx: int
    ) -> None:
        """Weight sync, rollout with rewards, advantage, experience. The sync opens the cycle, so that the first step,
        a resumed run and validation need no special case."""
        step, rank = pl_module.steps_done, trainer.global_rank
        before = self.sampler.reward.statistics()
        self.sampler.sync(pl_module.policy, step)
        filled = self._rollout(trainer, batch, step)
        weights = self.sampler.reward.weights if self.algorithm.advantage_of == "terms" else None
        advantages = group_advantages(trainer, filled.groups, self.algorithm.advantage, weights)
        with self.sampler.phases("collate"):
            batch.groups, advantages = self._balanced(trainer, batch, filled, advantages, step)
            batch.experience = collate(batch.groups, advantages, self.processor)
        with self.sampler.phases("store"):
            self._writer.write(filled.sampled, step, rank)
        silent = zero_variance(rewards_of(filled.sampled))
        verification = {name: count - before[name] for name, count in self.sampler.reward.statistics().items()}
        self.metrics = rollout_metrics(trainer, filled.sampled, silent, verification) | filled.metrics

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: GRPOModule, outputs: Any, batch: RolloutBatch, batch_idx: int
    ) -> None:
        """The step's rollouts are on the disk before its row of metrics and its checkpoint."""
        with self.sampler.phases("store"):
            self._writer.finish()

    def on_exception(self, trainer: L.Trainer, pl_module: GRPOModule, exception: BaseException) -> None:
        try:
            self._writer.finish()
        except UserError as error:
            # What ended the run comes first, and is on its way to the user.
            log.error("%s", error)

    def _rollout(self, trainer: L.Trainer, batch: RolloutBatch, step: int) -> Filled:
        """Scored groups of this process's problems, and of others in their place where they taught nothing."""

        def sample(problems: Sequence[Problem], positions: Sequence[int]) -> list[Group]:
            seeds = [sampling_seed(self.seed, step, position) for position in positions]
            return agreed(trainer, lambda: self.sampler.sample(problems, self.sampling, seeds) if problems else [])

        positions = range(trainer.global_rank, len(batch.problems) * trainer.world_size, trainer.world_size)
        groups = sample(batch.problems, positions)
        if self.algorithm.resampling_rounds == 0:
            return Filled(groups, None, groups, {})
        loader = trainer.train_dataloader
        further = DynamicSampling(loader.schedule, loader.dataset, rounds=self.algorithm.resampling_rounds)
        filled = further.fill(trainer, step, groups, sample, batch.rows)
        self.bad_rows.note(trainer, step + 1, loader.dataset, filled.bad)
        return filled

    def _balanced(
        self, trainer: L.Trainer, batch: RolloutBatch, filled: Filled, advantages: Tensor, step: int
    ) -> tuple[list[Group], Tensor]:
        if trainer.world_size == 1:
            return filled.groups, advantages
        loader, indices = trainer.train_dataloader, filled.indices
        if indices is None:
            asked = batch.rows or loader.schedule.asked(step)
            indices = asked[trainer.global_rank :: trainer.world_size]
        return balanced(trainer, filled.groups, advantages, indices, loader.dataset)
