"""A KL coefficient that follows a target; a fixed coefficient needs no code."""

from __future__ import annotations

LARGEST_ERROR = 0.2
"""The relative error beyond which the controller does not answer more strongly (arXiv 1909.08593, section 2.2)."""


def adapted(coefficient: float, measured: float, *, target: float, horizon: float, batch_size: int) -> float:
    """The coefficient after one rollout of `batch_size` completions whose divergence was `measured`.

    `coefficient · (1 + clip(measured/target - 1, ±0.2) · batch_size/horizon)` (Ziegler et al., arXiv 1909.08593,
    section 2.2). verl and OpenRLHF have the same, with a horizon of 10,000 completions.

    Args:
        coefficient: β so far.
        measured: the mean divergence from the reference, in the unit of `target`.
        target: the divergence to keep to.
        horizon: completions over which a lasting error of 20 % moves β by about 20 %.
        batch_size: completions of this rollout, over all processes.
    """
    error = min(max(measured / target - 1, -LARGEST_ERROR), LARGEST_ERROR)
    return coefficient * (1 + error * batch_size / horizon)
