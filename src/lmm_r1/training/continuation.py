"""Whether a resumed run goes on with what it began with: data, model and code, noted at the start in `lineage.json`."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning as L

from lmm_r1.atomic_files import write_text
from lmm_r1.errors import UserError
from lmm_r1.training import lineage

log = logging.getLogger(__name__)

LINEAGE = "lineage.json"
DECISIVE = {
    "data": "the training data (dataset)",
    "validation": "the validation data (dataset)",
    "model": "the model that it starts from (init_from, model.path)",
}
"""What a run must be resumed with."""


@dataclass(frozen=True)
class Conditions:
    """Under what a run was started, or resumed; with the steps done by then, an entry of `lineage.json`."""

    data: str
    validation: str
    model: str
    """Fingerprints."""
    code: str
    git_commit: str | None
    versions: dict[str, str]


def current_conditions(train: Sequence[Any], validation: Sequence[Any], start: str) -> Conditions:
    """Args: `start`: the folder or hub id that the weights and the reference come from."""
    return Conditions(
        data=lineage.data_fingerprint(train),
        validation=lineage.data_fingerprint(validation),
        model=lineage.model_fingerprint(start),
        code=lineage.code_fingerprint(),
        git_commit=lineage.git_commit(),
        versions=lineage.versions(),
    )


def check_continuation(folder: Path, now: Conditions) -> None:
    """Compare with what the steps of a run that is resumed were made under, and say what is different.

    Raises:
        UserError: the data or the starting model are; the steps to come would not go on from those that are done.
    """
    for earlier in _read(folder / LINEAGE)[-1:]:
        for name, what in DECISIVE.items():
            if earlier.get(name) != getattr(now, name):
                raise UserError(
                    f"{folder}: {what} is not what the run was made with so far; put it back, or start a new run. If "
                    f"it is the same, in other files, remove {folder / LINEAGE}"
                )
        for line in _differences(earlier, now):
            log.warning("resumed with %s", line)


def note_conditions(folder: Path, now: Conditions, *, first_step: int) -> None:
    """Add to the run's lineage under what the steps after `first_step` are made, in place of what is done again."""
    parts = [earlier for earlier in _read(folder / LINEAGE) if earlier["first_step"] < first_step]
    write_text(folder / LINEAGE, json.dumps([*parts, {"first_step": first_step, **asdict(now)}], indent=2) + "\n")


def _read(path: Path) -> list[dict[str, Any]]:
    """The parts so far; none where the file is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except json.JSONDecodeError:
        log.warning("%s: damaged, so that nobody knows what the run was made with; begun anew", path)
        return []


def _differences(earlier: dict[str, Any], now: Conditions) -> Iterator[str]:
    if earlier["code"] != now.code:
        yield f"other code: commit {now.git_commit}, before {earlier['git_commit']}"
    for name in sorted({*earlier["versions"], *now.versions}):
        before, current = earlier["versions"].get(name, "none"), now.versions.get(name, "none")
        if before != current:
            yield f"{name} {current}, before {before}"


class ScheduleOfResumedRun(L.Callback):
    """Lays the schedule as it is configured now over a run that goes on, and says where the learning rate jumps.

    A checkpoint brings back the learning rate that it was written with, also where `trainer.steps` or the learning rate
    are others now.
    """

    def __init__(self, learning_rates: Sequence[float]) -> None:
        """Args: `learning_rates`: the configured ones, of each optimiser."""
        self.learning_rates = learning_rates

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if pl_module.steps_done == 0:
            return
        for config, rate in zip(trainer.lr_scheduler_configs, self.learning_rates, strict=True):
            scheduler, saved = config.scheduler, config.scheduler.get_last_lr()
            now = [rate * factor(scheduler.last_epoch) for factor in scheduler.lr_lambdas]
            if now == saved:
                continue
            rates = {"base_lrs": [rate] * len(now), "_last_lr": now}
            scheduler.load_state_dict(scheduler.state_dict() | rates)
            for group, value in zip(scheduler.optimizer.param_groups, now, strict=True):
                group["lr"], group["initial_lr"] = value, rate
            if trainer.is_global_zero:
                log.warning(
                    "resumed with another schedule: after step %d the learning rate goes on at %.3g, not at %.3g",
                    pl_module.steps_done,
                    now[0],
                    saved[0],
                )
