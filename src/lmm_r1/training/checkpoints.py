"""Checkpoints at the ends of steps."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import nn

from lmm_r1.models.finite import require_finite
from lmm_r1.training.distributed import gather_objects
from lmm_r1.training.interrupts import Interrupts

PATTERN = "step_{:06d}.ckpt"


def newest_checkpoint(folder: Path) -> Path | None:
    """The last complete checkpoint; one that was being written when the process died has another name."""
    return max(folder.glob("step_*.ckpt"), default=None)


def steps_in(checkpoint: Path) -> int:
    """How many steps were done when it was written."""
    return int(checkpoint.stem.removeprefix("step_"))


@torch.no_grad()
def weights_checksum(model: nn.Module) -> float:
    """A number that equal weights share and unequal ones hardly ever do: each tensor's sum times its position."""
    sums = (tensor.double().sum() * (index + 1) for index, tensor in enumerate(model.state_dict().values()))
    return float(sum(sums))


class Checkpoints(L.Callback):
    """Saves weights, optimisers, schedule, steps done and random state every so many steps, before stopping, and when
    the last step is done."""

    def __init__(self, folder: Path, interrupts: Interrupts, *, every: int, keep: int, steps: int) -> None:
        """Args: `steps` of the whole run."""
        self.folder, self.interrupts, self.every, self.keep, self.steps = folder, interrupts, every, keep, steps

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.interrupts.asked_to_stop(trainer):
            self.save(trainer, pl_module)
            trainer.should_stop = True
        elif pl_module.steps_done == self.steps:
            self.save(trainer, pl_module)
        elif pl_module.steps_done % self.every == 0 and not any(each.in_a_row for each in pl_module.skipped.values()):
            # Weights that have just led to a step that was skipped would push out the last good ones.
            self.save(trainer, pl_module)

    def save(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write a checkpoint of the state after `steps_done` steps, whole or not at all; drop the oldest.

        Raises RuntimeError where the processes hold different weights: only the first one's would be saved. Raises
        UserError where they are not finite.
        """
        require_finite(pl_module.state_dict(), f"the checkpoint of step {pl_module.steps_done}")
        if len(set(gather_objects(trainer, weights_checksum(pl_module)))) > 1:
            raise RuntimeError(f"after step {pl_module.steps_done} the processes hold different weights")
        path = self.folder / PATTERN.format(pl_module.steps_done)
        temporary = path.with_suffix(".writing")
        trainer.save_checkpoint(temporary, weights_only=False)
        if trainer.is_global_zero:
            os.replace(temporary, path)
            for old in sorted(self.folder.glob("step_*.ckpt"))[: -self.keep]:
                old.unlink()
        trainer.strategy.barrier()

    def state_dict(self) -> dict[str, Any]:
        return {"python": random.getstate(), "numpy": np.random.get_state(), "torch": torch.get_rng_state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        random.setstate(state_dict["python"])
        np.random.set_state(state_dict["numpy"])
        torch.set_rng_state(state_dict["torch"])
