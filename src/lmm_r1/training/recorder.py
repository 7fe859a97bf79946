"""Writes down each step: `metrics.csv`, W&B, the progress bar, and a word on odd values."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import lightning as L
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from lmm_r1.reporting.wandb_run import WandbRun
from lmm_r1.training.machine_use import MachineUse, take_peak_memory
from lmm_r1.training.metrics_file import MetricsFile
from lmm_r1.training.odd_values import explain
from lmm_r1.training.phases import Phases
from lmm_r1.training.validation import Validator
from lmm_r1.types import Group

log = logging.getLogger(__name__)

SHOWN = {
    "reward": "reward/mean",
    "accuracy": "accuracy",
    "length": "completion/length",
    "tokens/s": "rollout/tokens_per_second",
    "loss": "policy/loss",
}
"""What the progress bar shows, where it was measured."""


class Recorder(L.Callback):
    """Collects what a step measured into one row, after everybody else has run.

    Row 0 holds the validation of the initial policy; row k what happened in the k-th step, and the validation of the
    policy it ended with where one was due.
    """

    def __init__(
        self,
        measured: Callable[[], dict[str, float]],
        validator: Validator,
        table: MetricsFile | None,
        wandb_run: WandbRun | None,
        phases: Phases,
        machine: MachineUse,
        *,
        steps: int,
        validate_every: int,
        begun: Callable[[], None],
    ) -> None:
        """Args: `measured` gives the metrics of the step at hand; `table` is None in every process but the first, and
        `begun` is called there once row 0 is in it."""
        self.measured, self.validator, self.table, self.wandb_run = measured, validator, table, wandb_run
        self.phases, self.machine, self.steps, self.validate_every = phases, machine, steps, validate_every
        self.begun = begun
        self.initial_validation: dict[str, float] = {}
        self.last_validation: dict[str, float] = {}
        self._explained: set[str] = set()
        self._validated: list[Group] = []
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[status]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.is_global_zero:
            self._progress.start()
        self._task = self._progress.add_task("step", total=self.steps, completed=pl_module.steps_done, status="")
        if trainer.is_global_zero and self.wandb_run is not None:
            self.wandb_run.begin(self.table.rows, self.validator.store)
        if pl_module.steps_done == 0:
            self.initial_validation = self._validate(trainer, pl_module)
            self._write(0, self._with_machine(self.initial_validation, pl_module))
        if trainer.is_global_zero:
            self.begun()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step, metrics = pl_module.steps_done, self.measured()
        if step == self.steps or (self.validate_every > 0 and step % self.validate_every == 0):
            metrics |= self._validate(trainer, pl_module)
        metrics = self._with_machine(metrics, pl_module)
        for kind, sentence in explain(step, metrics):
            if kind not in self._explained and trainer.is_global_zero:
                self._explained.add(kind)
                log.info(sentence)
        self._write(step, metrics)
        status = "  ".join(f"{label} {metrics[name]:.4g}" for label, name in SHOWN.items() if name in metrics)
        self._progress.update(self._task, completed=step, status=status)

    def _validate(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, float]:
        step = pl_module.steps_done
        metrics, self._validated = self.validator.validate(trainer, pl_module.policy, step)
        self.last_validation = metrics
        if trainer.is_global_zero:
            log.info("step %d: %s", step, _accuracies(metrics))
        return metrics

    def _with_machine(self, metrics: dict[str, float], pl_module: L.LightningModule) -> dict[str, float]:
        """The step's row with its seconds by phase and what they say of the machine."""
        row = metrics | {f"time/{name}": seconds for name, seconds in self.phases.end_step().items()}
        return row | self.machine.of_step(row, take_peak_memory(pl_module.device))

    def _write(self, step: int, metrics: dict[str, float]) -> None:
        if self.table is not None:
            self.table.append(step, metrics)
            if self.wandb_run is not None:
                self.wandb_run.log(step, metrics, self._validated)
        self._validated = []

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._progress.stop()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        self._progress.stop()

    def state_dict(self) -> dict[str, Any]:
        return {
            "initial_validation": self.initial_validation,
            "last_validation": self.last_validation,
            "seconds": self.phases.run(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.initial_validation = state_dict["initial_validation"]
        self.last_validation = state_dict["last_validation"]
        self.phases.resume(state_dict["seconds"])


def _accuracies(metrics: dict[str, float]) -> str:
    """The accuracy over all and by rendering, without the families."""
    names = [name for name in metrics if name.startswith("validation/accuracy") and name.count("/") <= 2]
    return "  ".join(f"{name.removeprefix('validation/')} {metrics[name]:.3f}" for name in names)
