"""In which numbers a run keeps its weights and makes its passes."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import lightning as L
import torch
from torch import Tensor

log = logging.getLogger(__name__)


def lightning_precision(precision: str) -> str:
    """What `trainer.precision` means to Lightning's `Trainer`.

    Lightning's own `bf16-true` would turn the float32 adapters, the critic's head and the batch into bfloat16 and make
    it torch's default dtype, that of losses and metrics. The weights were loaded in bfloat16 already, which is all that
    the passes need.
    """
    return "32-true" if precision == "bf16-true" else precision


@torch.no_grad()
def share_lost_to_rounding(parameters: Iterable[Tensor], step: float) -> float:
    """The share of the weights below float32 that are the same after a step of this size; 0 where there are none."""
    coarse = [parameter for parameter in parameters if parameter.dtype.itemsize < 4]
    unmoved = sum(int((parameter.add(step) == parameter).sum()) for parameter in coarse)
    return unmoved / max(1, sum(parameter.numel() for parameter in coarse))


WORTH_A_WORD = 0.01


class RoundingNotice(L.Callback):
    """Says once, at the start, where AdamW's steps are too small for the weights: about the learning rate each."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        for optimiser in trainer.optimizers:
            self._look_at(optimiser.param_groups)

    def _look_at(self, groups: list[dict[str, Any]]) -> None:
        learning_rate = max(group["initial_lr"] for group in groups)
        parameters = [parameter for group in groups for parameter in group["params"]]
        lost = share_lost_to_rounding(parameters, learning_rate)
        if lost >= WORTH_A_WORD:
            log.warning(
                "model.dtype=bfloat16: a step of the learning rate, %.1e, is lost to rounding in %.0f%% of the trained "
                "weights; take float32 with trainer.precision=bf16-mixed, or adapters (model.lora), which are float32",
                learning_rate,
                100 * lost,
            )
