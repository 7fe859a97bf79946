"""Length within the group: of the answers to one problem, the shorter earn more."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lmm_r1.rewards.judged import Judged


def group_length(judged: Judged) -> float:
    """λ = 0.5 - (L - L_min) / (L_max - L_min) where right, min(0, λ) where wrong: in [-0.5, 0.5].

    L_min and L_max are the shortest and the longest of the group's completions, in tokens; 0 where they are the same.
    Source: Kimi k1.5 (arXiv 2501.12599), section 2.3.3, length penalty. They start without it and add it later.
    """
    lengths = [len(completion.token_ids) for completion in judged.group]
    shortest, longest = min(lengths), max(lengths)
    if shortest == longest:
        return 0.0
    value = 0.5 - (judged.length - shortest) / (longest - shortest)
    return value if judged.verdict.correct else min(0.0, value)
