"""What every module that a run trains has: steps counted by itself, and optimiser steps that are taken or skipped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from lmm_r1.training.distributed import sum_over_processes
from lmm_r1.training.guarded_step import Skipped, guarded_step
from lmm_r1.training.phases import Phases


class SteppedModule(L.LightningModule):
    """Optimisation is manual; a batch is a step, however many optimiser steps it takes."""

    def __init__(self, phases: Phases, skipped: dict[str, Skipped]) -> None:
        """Args: `skipped`: one for each optimiser, in their order, by the first part of its metrics' names."""
        super().__init__()
        self.automatic_optimization = False
        self.phases, self.skipped = phases, skipped
        self.steps_done = 0
        self.metrics: dict[str, float] = {}

    def _guarded_step(
        self, name: str, model: nn.Module, *, loss: Tensor, max_norm: float, suspects: Mapping[str, Tensor | None]
    ) -> Tensor | None:
        """See `guarded_step`, for the optimiser of `name`."""
        index = list(self.skipped).index(name)
        return guarded_step(
            self.trainer,
            model,
            self._of(index, self.optimizers()),
            self._schedule(index),
            loss=loss,
            max_norm=max_norm,
            skipped=self.skipped[name],
            suspects=suspects,
        )

    def _schedule(self, index: int = 0) -> torch.optim.lr_scheduler.LRScheduler:
        """The policy's is the first."""
        return self._of(index, self.lr_schedulers())

    def _of(self, index: int, found: Any) -> Any:
        """Lightning gives a list where there are several."""
        return found[index] if isinstance(found, list) else found

    def _skipped_steps(self) -> dict[str, float]:
        """The metrics of the update at hand, and the counts ready for the next."""
        found = {f"{name}/skipped_steps": float(skipped.in_update) for name, skipped in self.skipped.items()}
        for skipped in self.skipped.values():
            skipped.in_update = 0
        return found

    def _sum(self, tensor: Tensor) -> Tensor:
        """The sum over processes, where the tensor was."""
        return sum_over_processes(self.trainer, tensor.to(self.device)).to(tensor.device)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Problems stay where they are; a micro-batch's tensors move when it is computed."""
        return batch
