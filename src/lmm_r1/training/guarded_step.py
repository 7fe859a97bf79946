"""An optimiser step that is taken where its loss and gradient are finite, in all processes alike, or in none."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import lightning as L
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from lmm_r1.training.distributed import sum_gradients, sum_over_processes

REWARDS = "a reward or an advantage"
"""What a loss is made of, if not by the model itself."""


@dataclass
class Skipped:
    """The optimiser steps of one model that were not taken."""

    learning_rate: str
    """The setting that says how large its steps are."""
    in_update: int = 0
    """Of the update at hand."""
    in_a_row: int = 0
    """Up to now, over updates; a step that is taken ends the row."""
    cause: str = ""
    """What was not finite first, in the last of them."""


def guarded_step(
    trainer: L.Trainer,
    model: nn.Module,
    optimiser: LightningOptimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    *,
    loss: Tensor,
    max_norm: float,
    skipped: Skipped,
    suspects: Mapping[str, Tensor | None],
) -> Tensor | None:
    """Sum the gradients of all processes, bound their norm, and take a step; without it, the schedule moves on too.

    A gradient that is not finite would make every weight NaN, and clipping it makes it NaN or 0.

    Args:
        loss: this process's part of the mini-batch's, a scalar.
        max_norm: the greatest norm of the gradient, which is scaled down to it.
        skipped: counts this step where it is not taken.
        suspects: what the loss was made of, in the order of its making, by what to call it; alike in all processes.

    Returns:
        the float32 norm of the gradient before clipping, or None where the step was not taken.
    """
    sum_gradients(trainer, model)
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    norm = gradient_norm(gradients)
    culprit = _first_not_finite(trainer, {"the loss, from the model's own passes": loss, "the gradient alone": norm})
    if culprit is None:
        nn.utils.clip_grads_with_norm_(list(model.parameters()), max_norm, norm)
        optimiser.step()
        skipped.in_a_row = 0
    else:
        skipped.in_update, skipped.in_a_row = skipped.in_update + 1, skipped.in_a_row + 1
        skipped.cause = _first_not_finite(trainer, suspects) or culprit
    optimiser.zero_grad()
    with warnings.catch_warnings():
        # torch takes a first step that was skipped for a wrong order of calls.
        warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step")
        schedule.step()
    return norm if culprit is None else None


def gradient_norm(gradients: Sequence[Tensor]) -> Tensor:
    """The 2-norm over all gradients, a float32 scalar whatever they are kept in."""
    norms = [torch.linalg.vector_norm(gradient, dtype=torch.float32) for gradient in gradients]
    return torch.linalg.vector_norm(torch.stack(norms)) if norms else torch.zeros(())


def _first_not_finite(trainer: L.Trainer, tensors: Mapping[str, Tensor | None]) -> str | None:
    """The first of them that holds NaN or infinity in any process."""
    present = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    if not present:
        return None
    flags = [(~tensor.isfinite()).any() for tensor in present.values()]
    device = trainer.strategy.root_device
    found = sum_over_processes(trainer, torch.stack([flag.to(device) for flag in flags]).float()).tolist()
    return next((name for name, count in zip(present, found, strict=True) if count), None)
