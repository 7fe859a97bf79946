"""Soft overlong punishment: the last stretch before the token limit costs more and more."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lmm_r1.rewards.judged import Judged


def soft_overlong(judged: Judged, *, max_tokens: int, cache_share: float = 0.2) -> float:
    """0 up to L_max - C tokens, then (L_max - C - L) / C, and -1 from L_max on: in [-1, 0].

    Source: DAPO (arXiv 2503.14476), equation 13, with L_max = `max_tokens` and C = `cache_share` · L_max.
    The default is DAPO's own proportion: L_max 20480, C 4096. verl leaves the value below -1 beyond L_max; the
    equation does not.
    """
    cache = cache_share * max_tokens
    overrun = judged.length - (max_tokens - cache)
    return -min(max(overrun / cache, 0.0), 1.0)
