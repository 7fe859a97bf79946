"""The few sums that several processes make together; each is the identity in a single process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import lightning as L
import torch
from torch import nn

from lmm_r1.errors import UserError
from lmm_r1.types import Group

Value = TypeVar("Value")


def sum_over_processes(trainer: L.Trainer, tensor: torch.Tensor) -> torch.Tensor:
    """The elementwise sum of every process's tensor."""
    if trainer.world_size == 1:
        return tensor
    return trainer.strategy.reduce(tensor.clone(), reduce_op="sum")


MESSAGE_BYTES = 2**28
"""Of one message of gradients: large enough for full bandwidth, small beside the gradients, for it is a copy."""


def sum_gradients(trainer: L.Trainer, model: nn.Module) -> None:
    """Replace the gradients by their sum over processes, in float32, whatever they are kept in.

    A parameter that other processes' micro-batches used takes part with zeros here. One that nobody's used, such as
    those of the vision tower where all prompts are text, is not sent and keeps no gradient, as in a single process: the
    optimiser leaves it alone.
    """
    if trainer.world_size == 1:
        return
    parameters = _used_anywhere([parameter for parameter in model.parameters() if parameter.requires_grad])
    if not parameters:
        return
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    size = MESSAGE_BYTES * min(parameter.dtype.itemsize for parameter in parameters) // 4
    for gradients in torch._utils._take_tensors([parameter.grad for parameter in parameters], size):
        flat = torch._utils._flatten_dense_tensors(gradients).float()
        torch.distributed.all_reduce(flat)
        for gradient, summed in zip(gradients, torch._utils._unflatten_dense_tensors(flat, gradients), strict=True):
            gradient.copy_(summed)


def _used_anywhere(parameters: Sequence[nn.Parameter]) -> list[nn.Parameter]:
    """Those of the parameters that have a gradient in some process; a byte each is sent."""
    used = torch.tensor([parameter.grad is not None for parameter in parameters], dtype=torch.uint8)
    used = used.to(parameters[0].device)
    torch.distributed.all_reduce(used, torch.distributed.ReduceOp.MAX)
    return [parameter for parameter, somewhere in zip(parameters, used.tolist(), strict=True) if somewhere]


def without_images(groups: Sequence[Group]) -> list[Group]:
    """Groups as they travel between processes: pictures stay at home, and can be read again from the data set."""
    return [replace(group, problem=replace(group.problem, images=())) for group in groups]


def gather_objects(trainer: L.Trainer, value: Any) -> list[Any]:
    """Every process's value, in the order of ranks, on every process."""
    if trainer.world_size == 1:
        return [value]
    gathered: list[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(gathered, value)
    return gathered


class AgreedError(UserError):
    """A `UserError` that every process raises at the same place, so that they can still do something together."""


def agreed(trainer: L.Trainer, act: Callable[[], Value]) -> Value:
    """What `act` returns, once no process has met a `UserError` in it.

    Where one has, all raise `AgreedError` with its words: a process that ended alone would leave the others waiting.
    """
    value, complaint = None, None
    try:
        value = act()
    except UserError as error:
        complaint, cause = str(error), error
    complaints = [text for text in gather_objects(trainer, complaint) if text is not None]
    if complaints:
        raise AgreedError(complaints[0]) from (cause if complaint is not None else None)
    return value
