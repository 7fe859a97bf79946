"""What the optimiser steps of a rollout share."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Targets:
    """What is computed before the first optimiser step and stays. On the CPU, rows as in the experience."""

    advantages: torch.Tensor
    """`[N, T]`, or `[N, 1]` where all tokens of a completion share one."""
    old_logprobs: torch.Tensor | None
    """`[N, T]`; None where the policy that takes the gradient is the one that sampled."""
    reference_logprobs: torch.Tensor | None
    """`[N, T]`; None at a KL coefficient of 0."""
    values: torch.Tensor | None
    """`[N, T]`, with a critic alone."""
    returns: torch.Tensor | None
    """`[N, T]`, likewise."""
