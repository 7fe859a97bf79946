"""What a run is made of: what the entry point hands over, and what the two kinds of run differ in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import lightning as L
from transformers import ProcessorMixin

from lmm_r1.reporting.wandb_run import WandbRun
from lmm_r1.rewards.compose import RewardSum
from lmm_r1.training.continuation import Conditions, ScheduleOfResumedRun
from lmm_r1.training.module import GRPOModule
from lmm_r1.training.sampler import PolicySampler
from lmm_r1.training.settings import ModelSettings, RolloutSettings, RunSettings, TrainerSettings
from lmm_r1.training.supervised import SupervisedModule
from lmm_r1.training.usable import UsableData
from lmm_r1.types import Problem


@dataclass(frozen=True)
class Parts:
    """What both kinds of run are given, ready made by the entry point."""

    run: RunSettings
    model: ModelSettings
    rollout: RolloutSettings
    trainer: TrainerSettings
    train_data: Sequence[Any]
    validation_data: Sequence[Problem]
    reward: RewardSum
    wandb_run: WandbRun | None
    """None where W&B is not wanted, and in every process but the first."""
    config: dict[str, Any]
    """The resolved configuration, for the lineage."""
    begun: Callable[[], None]
    """To be called by the first process once the run's first row is on the disk."""


@dataclass(frozen=True)
class Training:
    """What the two kinds of run differ in, once their module is built."""

    module: GRPOModule | SupervisedModule
    sampler: PolicySampler
    schedule: ScheduleOfResumedRun
    data: UsableData
    callbacks: list[L.Callback]
    measured: Callable[[], dict[str, float]]
    """The metrics of the step at hand."""
    batch_size: int
    """Entries of the training set in one step, over all processes."""
    collate: Callable[[list[Any]], Any]
    processor: ProcessorMixin
    start: str
    """Where the weights came from."""
    conditions: Conditions
    parent: str | None
    """The run they came from."""
    algorithm: str | None
    """What tables of results call it; None for supervised training."""
