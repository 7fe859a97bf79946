"""The steps that `gpu.py` plans: run as training runs them, timed as the device sees them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from gpu_report import Measured, Workload, write_results

from lmm_r1.models.architecture import Architecture
from lmm_r1.models.loading import ATTENTION
from lmm_r1.rollout.vllm_engine import VLLMEngine
from lmm_r1.training.batch import RolloutBatch
from lmm_r1.training.module import GRPOModule
from lmm_r1.training.phases import Phases
from lmm_r1.training.rollout_callback import RolloutCallback
from lmm_r1.training.step_costs import Passes, shape_of, update_flops
from lmm_r1.types import Sampling


class TimedPhases(Phases):
    """Phases that end when the device has finished, not when the work has been handed to it."""

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        with super().__call__(name):
            yield
            wait_for_device()


def wait_for_device() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


class SwitchableSeeds(VLLMEngine):
    """The engine, and what it would be without a random generator for each completion.

    With seeds vLLM's Model Runner V1 draws for each sequence apart: the price of a run that can be repeated. V2 has no
    generators, it draws from a hash of seed, position and token.
    """

    seeds = True

    def _engine_sampling(self, sampling: Sampling, seed: int) -> Any:
        settings = super()._engine_sampling(sampling, seed)
        if not self.seeds:
            settings.seed = None
        return settings


@dataclass
class PlannedBatch(RolloutBatch):
    """A step and what is to be told of it."""

    workload: Workload | None = None
    attention: str = "sdpa"
    checkpointing: bool = False
    counts: bool = True
    """False for a warm-up."""
    seeds: bool = True
    rollout: RolloutCallback | None = None
    """Fills the experience; None where it is there already and the update is measured alone."""

    @property
    def kind(self) -> str:
        return "update" if self.rollout is None else "step"


class Measure(L.Callback):
    """Runs each planned step as training would, and writes down what it took."""

    def __init__(
        self, phases: Phases, report: Path, facts: dict[str, Any], architecture: Architecture, passes: Passes
    ) -> None:
        self.phases, self.report, self.facts = phases, report, facts
        self.architecture, self.passes = architecture, passes
        self.measured: list[Measured] = []

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: GRPOModule, batch: PlannedBatch, index: int) -> None:
        policy = pl_module.policy
        policy.set_attn_implementation({"text_config": ATTENTION[batch.attention], "vision_config": "sdpa"})
        if batch.checkpointing:
            policy.gradient_checkpointing_enable()
        else:
            policy.gradient_checkpointing_disable()
        SwitchableSeeds.seeds = batch.seeds
        wait_for_device()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        self.phases.end_step()
        self.begun = time.perf_counter()
        if batch.rollout is not None:
            batch.rollout.on_train_batch_start(trainer, pl_module, batch, index)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: GRPOModule, outputs: Any, batch: PlannedBatch, index: int
    ) -> None:
        if batch.rollout is not None:
            batch.rollout.on_train_batch_end(trainer, pl_module, outputs, batch, index)
        wait_for_device()
        seconds = time.perf_counter() - self.begun
        peak = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
        shape = shape_of(batch.experience)
        measured = Measured(
            workload=batch.workload,
            kind=batch.kind,
            attention=batch.attention,
            checkpointing=batch.checkpointing,
            counts=batch.counts,
            seeds=batch.seeds,
            seconds=seconds,
            phases=self.phases.end_step(),
            peak_bytes=peak,
            shape=shape,
            flops=sum(update_flops(self.architecture, shape, self.passes, recomputed=False).values()),
            metrics={name: pl_module.metrics[name] for name in ("policy/sampler_difference", "policy/grad_norm")},
        )
        self.measured.append(measured)
        print(measured.line(self.facts["peak_flops"]), flush=True)
        write_results(self.report, self.facts, self.measured)
