"""Ends a run whose updates are not finite any more, or whose weights are not, with what to do about it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import lightning as L
import torch

from lmm_r1.errors import UserError
from lmm_r1.models.finite import first_not_finite
from lmm_r1.training.checkpoint_folder import CHECKPOINTS, checkpoints, steps_in
from lmm_r1.training.distributed import sum_over_processes
from lmm_r1.training.guarded_step import REWARDS
from lmm_r1.training.stepped_module import SteppedModule

log = logging.getLogger(__name__)


class FiniteUpdates(L.Callback):
    """Looks at the steps that were skipped, and at the weights, at the end of each step, before anybody uses them."""

    def __init__(self, folder: Path, *, most_skipped: int, replay: str | None) -> None:
        """Args:
        folder: the run's.
        most_skipped: optimiser steps in a row; as many end the run.
        replay: the command that makes the updates of the stored rollouts again; None where no rollouts are stored.
        """
        self.folder, self.most_skipped, self.replay = folder, most_skipped, replay
        self._last_move = 0
        """The last step in which an optimiser step was taken."""

    def on_train_start(self, trainer: L.Trainer, pl_module: SteppedModule) -> None:
        self._last_move = pl_module.steps_done
        bad = self._bad_weight(trainer, pl_module)
        if bad is not None:
            raise UserError(f"{bad} holds NaN or infinity before the first step; take other weights to start from")

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: SteppedModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Raises UserError, in all processes alike."""
        step, rows = pl_module.steps_done, pl_module.skipped
        if any(f"{name}/loss" in pl_module.metrics for name in rows):
            self._last_move = step
        for name, skipped in rows.items():
            count = int(pl_module.metrics[f"{name}/skipped_steps"])
            if count and trainer.is_global_zero:
                log.warning(
                    "step %d: %d optimiser step%s skipped (%s/skipped_steps): NaN or infinity in %s",
                    step,
                    count,
                    " was" if count == 1 else "s were",
                    name,
                    skipped.cause,
                )
        longest = max(rows.values(), key=lambda skipped: skipped.in_a_row)
        if longest.in_a_row >= self.most_skipped:
            reason = (
                f"{longest.in_a_row} optimiser steps in a row were skipped, because of NaN or infinity in "
                f"{longest.cause} (trainer.max_skipped_steps={self.most_skipped})"
            )
            self._end(trainer, step, reason, longest.cause, longest.learning_rate)
        bad = self._bad_weight(trainer, pl_module)
        if bad is not None:
            self._end(trainer, step, f"{bad} holds NaN or infinity", "", longest.learning_rate)

    def _end(self, trainer: L.Trainer, step: int, reason: str, cause: str, learning_rate: str) -> None:
        if self.replay is not None and trainer.is_global_zero:
            log.warning(
                "the completions of step %d are in %s/rollouts; make its update again, without sampling, with: %s",
                step,
                self.folder,
                self.replay,
            )
        cure = "see the rewards there and the terms of reward" if cause == REWARDS else self._cure(learning_rate)
        raise UserError(f"step {step}: {reason}; {cure}")

    def _cure(self, learning_rate: str) -> str:
        saved = checkpoints(self.folder / CHECKPOINTS)
        advice = ""
        if saved and self._last_move <= steps_in(saved[-1]):
            # No step was taken since: whoever goes on from it arrives here again.
            advice = f"remove {saved.pop()}, whose weights led to it, and "
        if not saved:
            return f"start again with a lower {learning_rate}"
        return (
            f"{advice}go on from step {steps_in(saved[-1])} with: python train.py resume={self.folder} "
            f"{learning_rate}=<a lower one>"
        )

    def _bad_weight(self, trainer: L.Trainer, pl_module: SteppedModule) -> str | None:
        """One that this process knows of, or that it is another's."""
        learning = ((name, tensor) for name, tensor in pl_module.named_parameters() if tensor.requires_grad)
        bad = first_not_finite(learning)
        found = torch.tensor(float(bad is not None), device=pl_module.device)
        return (bad or "a weight of another process") if sum_over_processes(trainer, found) else None
