"""Cosine reward: short is best when right, long is least bad when wrong."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lmm_r1.rewards.judged import Judged


def cosine(
    judged: Judged,
    *,
    max_tokens: int,
    correct_short: float = 1.0,
    correct_long: float = 0.5,
    wrong_short: float = -1.0,
    wrong_long: float = -0.5,
) -> float:
    """long + ½ (short - long) (1 + cos(π · min(L, L_max) / L_max)): `short` at no tokens, `long` from L_max on.

    Source: "Demystifying Long Chain-of-Thought Reasoning" (arXiv 2502.03373), the cosine reward; the four values are
    open-r1's `get_cosine_scaled_reward`, which counts characters (L_max 1000) and rises again beyond L_max. Here L is
    tokens and clamped. The term says right and wrong by itself, so it stands beside accuracy or, with
    `reward.weights.accuracy=0`, in its place.
    """
    short, long = (correct_short, correct_long) if judged.verdict.correct else (wrong_short, wrong_long)
    progress = min(judged.length / max_tokens, 1.0)
    return long + 0.5 * (short - long) * (1 + math.cos(math.pi * progress))
