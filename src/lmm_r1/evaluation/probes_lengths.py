"""Length against correctness: whether being right goes with being long, or with being short."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from lmm_r1.evaluation.statistics import RESAMPLES, Interval, cluster_bootstrap_interval

FEWEST = 10
"""Completions that a mean or a correlation needs."""


@dataclass(frozen=True)
class Lengths:
    """Tokens of right and of wrong completions; None where there are too few."""

    right: Interval | None
    wrong: Interval | None
    correlation: Interval | None
    """Pearson's r between being right (0 or 1) and the number of tokens; None also where either does not vary."""


def lengths(right: Sequence[bool], tokens: Sequence[int], problems: Sequence[Hashable]) -> Lengths:
    """From one entry a completion, `[N]` each; completions of one problem are one cluster of the intervals."""

    def mean(wanted: bool) -> Interval | None:
        chosen = [place for place, one in enumerate(right) if one == wanted]
        if len(chosen) < FEWEST:
            return None
        return cluster_bootstrap_interval([tokens[place] for place in chosen], [problems[place] for place in chosen])

    return Lengths(mean(True), mean(False), correlation_interval([float(one) for one in right], tokens, problems))


def correlation_interval(
    left: Sequence[float], right: Sequence[float], clusters: Sequence[Hashable], seed: int = 0, confidence: float = 0.95
) -> Interval | None:
    """Pearson's r of `[N]` pairs with the percentile interval of a bootstrap that draws whole clusters.

    None for fewer than `FEWEST` pairs, or where a side does not vary. Resamples in which a side does not vary are left
    out of the quantiles.
    """
    if len(left) < FEWEST:
        return None
    names = list(dict.fromkeys(clusters))
    index = {name: place for place, name in enumerate(names)}
    # Centred first, so that the sums of squares below lose no digits.
    x, y = (np.asarray(side, dtype=np.float64) - np.mean(side) for side in (left, right))
    moments = np.zeros((len(names), 6))
    np.add.at(moments, [index[name] for name in clusters], np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], 1))
    whole = _correlation(moments.sum(0))
    if math.isnan(whole):
        return None
    generator = np.random.default_rng(seed)
    resamples = (moments[generator.integers(len(names), size=len(names))].sum(0) for _ in range(RESAMPLES))
    drawn = [value for value in map(_correlation, resamples) if not math.isnan(value)]
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, (tail, 1 - tail))
    return Interval(whole, float(low), float(high))


def _correlation(moments: np.ndarray) -> float:
    """r from n, Σx, Σy, Σx², Σy², Σxy; NaN where a side does not vary."""
    count, x, y, xx, yy, xy = moments
    variances = (xx - x * x / count) * (yy - y * y / count)
    if not variances > 1e-12 * max(xx * yy, 1e-300):
        return math.nan
    return float(np.clip((xy - x * y / count) / math.sqrt(variances), -1, 1))
