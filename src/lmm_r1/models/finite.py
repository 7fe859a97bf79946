"""Weights are numbers: where NaN or infinity is among them, and that none is ever written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from lmm_r1.errors import UserError


@torch.no_grad()
def first_not_finite(tensors: Iterable[tuple[str, Tensor]]) -> str | None:
    """The name of the first tensor that holds NaN or infinity, None where all are numbers. No copy of any is made."""
    named = [(name, tensor) for name, tensor in tensors if tensor.is_floating_point() and tensor.numel()]
    if not named:
        return None
    # The largest magnitude is NaN where one entry is.
    norms = (torch.linalg.vector_norm(tensor, torch.inf) for _, tensor in named)
    largest = torch.stack([norm.to(named[0][1].device, torch.float32) for norm in norms])
    found = (~largest.isfinite()).nonzero().flatten().tolist()
    return named[found[0]][0] if found else None


def require_finite(weights: Mapping[str, Tensor], where: str) -> None:
    """Raises UserError for weights that are not to be written to `where`."""
    name = first_not_finite(weights.items())
    if name is not None:
        raise UserError(f"{where} is not written: the weights hold NaN or infinity (first in {name})")
