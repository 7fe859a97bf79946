"""When a run is saved, and that it goes on from what was saved."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import nn

from lmm_r1.atomic_files import replacing
from lmm_r1.errors import UnwritableError
from lmm_r1.models.finite import require_finite
from lmm_r1.training.checkpoint_folder import checkpoint_path, drop_oldest, write_manifest
from lmm_r1.training.checkpoint_state import read_state, write_state
from lmm_r1.training.distributed import AgreedError, gather_objects
from lmm_r1.training.interrupts import Interrupts
from lmm_r1.training.random_state import random_state

log = logging.getLogger(__name__)


@torch.no_grad()
def weights_checksum(model: nn.Module) -> float:
    """A number that equal weights share and unequal ones hardly ever do: each tensor's sum times its position."""
    sums = (tensor.double().sum() * (index + 1) for index, tensor in enumerate(model.state_dict().values()))
    return float(sum(sums))


class Checkpoints(L.Callback):
    """Saves the run every so many steps, before stopping, when the last step is done, and when an error ends it.

    Last among the callbacks: what it saves is what they know at the end of a step.
    """

    def __init__(
        self, folder: Path, interrupts: Interrupts, *, every: int, keep: int, steps: int, resume: Path | None = None
    ) -> None:
        """Args: `steps` of the whole run; `resume`: the checkpoint to go on from."""
        self.folder, self.interrupts, self.every, self.keep, self.steps = folder, interrupts, every, keep, steps
        self.resume = resume
        self._saved: int | None = None
        self._due = False
        """Whether a checkpoint is owed, now or as soon as an update is applied again."""
        self._random: dict[str, Any] | None = None
        """At the end of the last step; None while one is at work on the weights."""

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if len(set(gather_objects(trainer, self.resume))) > 1:
            raise RuntimeError(f"the processes would go on from different checkpoints, here from {self.resume}")
        if self.resume is not None:
            read_state(trainer, pl_module, self.resume)
            self._saved = pl_module.steps_done

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._random = None

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._random = random_state(trainer.strategy.root_device)
        done = pl_module.steps_done
        self._due = self._due or done % self.every == 0
        if self.interrupts.asked_to_stop(trainer):
            self.save(trainer, pl_module)
            trainer.should_stop = True
        elif done == self.steps or (self._due and not _just_skipped(pl_module)):
            self.save(trainer, pl_module)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Save the steps since the last checkpoint, where the error left their weights alone.

        Of several processes the others know of an `AgreedError` alone; else they could not give their shares.
        """
        alone = trainer.world_size > 1 and not isinstance(exception, AgreedError)
        if alone or not isinstance(exception, Exception) or isinstance(exception, UnwritableError):
            return
        if self._random is None or self._saved == pl_module.steps_done or _just_skipped(pl_module):
            return
        try:
            self.save(trainer, pl_module)
        except Exception as error:
            log.warning("step %d could not be saved: %s", pl_module.steps_done, error)

    def save(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write a checkpoint of the state after `steps_done` steps, whole or not at all; drop the oldest.

        Raises:
            RuntimeError: the processes hold different weights, of which only some would be saved.
            UserError: they are not finite.
            UnwritableError: the disk is full or refuses; earlier checkpoints are untouched.
        """
        require_finite(pl_module.state_dict(), f"the checkpoint of step {pl_module.steps_done}")
        if len(set(gather_objects(trainer, weights_checksum(pl_module)))) > 1:
            raise RuntimeError(f"after step {pl_module.steps_done} the processes hold different weights")
        random = self._random or random_state(trainer.strategy.root_device)
        path = checkpoint_path(self.folder, pl_module.steps_done)
        self.folder.mkdir(exist_ok=True)
        with replacing(path) if trainer.is_global_zero else nullcontext() as partial:
            write_state(trainer, pl_module, random, trainer.strategy.broadcast(partial), named=path)
            if trainer.is_global_zero:
                write_manifest(partial)
        if trainer.is_global_zero:
            drop_oldest(self.folder, self.keep)
        self._saved, self._due = pl_module.steps_done, False
        trainer.strategy.barrier()


def _just_skipped(pl_module: L.LightningModule) -> bool:
    """Whether the last update was not applied: a checkpoint of weights that led to that would push out a good one."""
    return any(each.in_a_row for each in pl_module.skipped.values())
