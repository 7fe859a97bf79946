"""From problems to an experience: the left-hand side of the paper's algorithm box."""

from __future__ import annotations

from collections.abc import Callable

import lightning as L
import torch
from transformers import ProcessorMixin

from lmm_r1.algorithms.advantages import zero_variance
from lmm_r1.rollout.engine import sampling_seed
from lmm_r1.rollout.store import RolloutStore
from lmm_r1.training.batch import RolloutBatch
from lmm_r1.training.collate import collate, rewards_of
from lmm_r1.training.module import GRPOModule
from lmm_r1.training.rollout_metrics import rollout_metrics
from lmm_r1.training.sampler import PolicySampler
from lmm_r1.types import Sampling


class RolloutCallback(L.Callback):
    """Fills each batch with an experience sampled by the current policy."""

    def __init__(
        self,
        sampler: PolicySampler,
        advantage: Callable[[torch.Tensor], torch.Tensor],
        processor: ProcessorMixin,
        sampling: Sampling,
        store: RolloutStore,
        *,
        seed: int,
    ) -> None:
        self.sampler, self.advantage, self.processor = sampler, advantage, processor
        self.sampling, self.store, self.seed = sampling, store, seed
        self.metrics: dict[str, float] = {}

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: GRPOModule, batch: RolloutBatch, batch_idx: int
    ) -> None:
        """Weight sync, rollout, reward, advantage, experience. The sync opens the cycle, so that the first step,
        a resumed run and validation need no special case."""
        step, rank = pl_module.steps_done, trainer.global_rank
        self.sampler.sync(pl_module.policy, step)
        positions = range(rank, len(batch.problems) * trainer.world_size, trainer.world_size)
        seeds = [sampling_seed(self.seed, step, position) for position in positions]
        batch.groups = self.sampler.sample(batch.problems, self.sampling, seeds)
        rewards = rewards_of(batch.groups)
        advantages = self.advantage(rewards)
        with self.sampler.phases("collate"):
            batch.experience = collate(batch.groups, advantages, self.processor)
        with self.sampler.phases("store"):
            self.store.write(batch.groups, step, rank)
        self.metrics = rollout_metrics(trainer, batch.groups, zero_variance(rewards), self.sampler.reward.statistics())
