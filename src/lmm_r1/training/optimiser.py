"""AdamW with a linear warm-up and a constant or cosine schedule."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.distributed.optim import ZeroRedundancyOptimizer


class _MomentsInShares(ZeroRedundancyOptimizer):
    def _verify_same_dense_param_type(self) -> None:
        """The critic's head is float32 on bfloat16 weights. Only torch's buckets, not used here, need a single type."""


def optimiser_with_schedule(
    model: nn.Module,
    *,
    learning_rate: float,
    betas: tuple[float, float],
    weight_decay: float,
    schedule: str,
    warmup_ratio: float,
    min_ratio: float,
    steps: int,
    processes: int,
) -> dict[str, Any]:
    """What `configure_optimizers` returns.

    Args:
        steps: of the optimiser, which the schedule counts too.
        processes: with several, each keeps the moments of its share of the parameters, updates these, and sends them
            to the others (ZeRO, arXiv 1910.02054, stage 1). Each writes its own into a checkpoint, which so holds them
            all, for any number of processes.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    settings = {"lr": learning_rate, "betas": tuple(betas), "weight_decay": weight_decay}
    settings["fused"] = parameters[0].is_cuda or None
    if processes > 1:
        optimiser = _MomentsInShares(parameters, torch.optim.AdamW, **settings)
    else:
        optimiser = torch.optim.AdamW(parameters, **settings)
    warmup = math.ceil(warmup_ratio * steps)

    def factor(step: int) -> float:
        return learning_rate_factor(step, warmup=warmup, steps=steps, schedule=schedule, min_ratio=min_ratio)

    return {"optimizer": optimiser, "lr_scheduler": torch.optim.lr_scheduler.LambdaLR(optimiser, factor)}


def learning_rate_factor(step: int, *, warmup: int, steps: int, schedule: str, min_ratio: float) -> float:
    """The share of the learning rate at an optimiser step, counted from 0.

    Linear to 1 over the warm-up; then constant, or a cosine from 1 to `min_ratio` at the last step
    (transformers' `cosine_with_min_lr`, which LMM-R1's scripts use with 0.1).
    """
    if step < warmup:
        return (step + 1) / warmup
    if schedule == "constant":
        return 1.0
    progress = min(1.0, (step - warmup) / max(1, steps - warmup))
    return min_ratio + (1 - min_ratio) * 0.5 * (1 + math.cos(math.pi * progress))
