"""Error bars, as pure functions of numbers.

Three things vary in an accuracy: which problems were drawn (`wilson_interval`, `cluster_bootstrap_interval`), what
two policies do on the very same problems (`paired_difference`, `mcnemar_p_value`), and the seed of the training run
(`seed_interval`). Accuracies are shares in [0, 1] throughout.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

RESAMPLES = 2000
"""Bootstrap resamples: the Monte-Carlo error of a 2.5 % bound is then about 0.35 percentage points of its level."""

FEW_CLUSTERS = 100
"""Below this number of clusters the bootstrap's intervals are too narrow."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence bounds."""

    mean: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2


@dataclass(frozen=True)
class PairedDifference:
    """What changed between two runs on the same items."""

    difference: Interval
    """Accuracy after minus accuracy before."""
    p_value: float | None
    """McNemar's exact p; None where an item's value is not 0 or 1 (several samples) or items share clusters."""


def wilson_interval(successes: float, trials: int, confidence: float = 0.95) -> Interval:
    """Score interval of a proportion, sound at small `trials` and near 0 and 1.

    With z the two-sided normal quantile, p = successes / trials and n = trials:
    (p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n)  (Wilson, JASA 22:209, 1927; Brown, Cai and DasGupta,
    Statistical Science 16:2, 2001).

    Raises:
        ValueError: `trials` is not positive or `successes` lies outside [0, trials].
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes in {trials} trials is not a proportion")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    proportion = successes / trials
    centre = proportion + z**2 / (2 * trials)
    spread = z * math.sqrt(proportion * (1 - proportion) / trials + z**2 / (4 * trials**2))
    scale = 1 + z**2 / trials
    # At 0 and 1 the bound equals the estimate; rounding must not push it past.
    low = min((centre - spread) / scale, proportion)
    high = max((centre + spread) / scale, proportion)
    return Interval(proportion, max(0.0, low), min(1.0, high))


def cluster_bootstrap_interval(
    values: Sequence[float], clusters: Sequence[Hashable], seed: int = 0, confidence: float = 0.95
) -> Interval:
    """Percentile interval of the mean of `values` when whole clusters, not items, were drawn independently.

    Clusters are drawn with replacement, each with all of its items; the mean of a resample is its total over its
    number of items (Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8).

    Args:
        values: one number for each item, `[N]`.
        clusters: the cluster of each item, `[N]`; e.g. the latent problem behind five renderings.

    Raises:
        ValueError: no values, or lengths that differ.
    """
    sums, sizes = _cluster_totals(values, clusters)
    generator = np.random.default_rng(seed)
    # One resample at a time: all of them at once would not fit in memory for a large benchmark.
    draws = (generator.integers(len(sums), size=len(sums)) for _ in range(RESAMPLES))
    means = [sums[draw].sum() / sizes[draw].sum() for draw in draws]
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, (tail, 1 - tail))
    return Interval(float(sums.sum() / sizes.sum()), float(low), float(high))


def accuracy_interval(
    values: Sequence[float], clusters: Sequence[Hashable], seed: int = 0, confidence: float = 0.95
) -> Interval:
    """The interval of an accuracy: Wilson's where items are independent, the cluster bootstrap where they are not.

    Where clusters are few, or all agree so that resampling shows no spread, Wilson's interval over the number of
    clusters stands in: it takes the items of a cluster as one, which is the widest the truth can be.

    Args:
        values: one share in [0, 1] for each item, `[N]`: 0 or 1, or the mean of several samples.
        clusters: the cluster of each item, `[N]`.
    """
    sums, sizes = _cluster_totals(values, clusters)
    binary = all(value in (0, 1) for value in values)
    if binary and len(sums) == len(values):
        return wilson_interval(float(sum(values)), len(values), confidence)
    if len(sums) < FEW_CLUSTERS or np.ptp(sums / sizes) == 0:
        return wilson_interval(float(sums.sum() / sizes.sum()) * len(sums), len(sums), confidence)
    return cluster_bootstrap_interval(values, clusters, seed, confidence)


def paired_difference(
    before: Sequence[float],
    after: Sequence[float],
    clusters: Sequence[Hashable],
    seed: int = 0,
    confidence: float = 0.95,
) -> PairedDifference:
    """The gain between two runs on the same items `[N]`, in the same order.

    The interval is the cluster bootstrap of the differences of the items, so what makes an item easy or hard for
    both runs cancels (Miller, Adding Error Bars to Evals, arXiv 2411.00640, section 4.2).

    Raises:
        ValueError: no items, or lengths that differ.
    """
    if len(before) != len(after):
        raise ValueError(f"{len(before)} items before and {len(after)} after are no pairs")
    differences = [late - early for early, late in zip(before, after, strict=True)]
    interval = cluster_bootstrap_interval(differences, clusters, seed, confidence)
    independent = len(set(clusters)) == len(clusters)
    binary = all(value in (0, 1) for value in (*before, *after))
    return PairedDifference(interval, mcnemar_p_value(before, after) if independent and binary else None)


def mcnemar_p_value(before: Sequence[float], after: Sequence[float]) -> float:
    """Two-sided exact p that as many items were lost as won, from independent items that are 0 or 1, `[N]`.

    With b items won and c lost, 2·P(X ≤ min(b, c)) for X ~ Binomial(b + c, 1/2), at most 1
    (McNemar, Psychometrika 12:2, 1947; exact form: Agresti, Categorical Data Analysis, section 11.1).
    """
    pairs = list(zip(before, after, strict=True))
    won, lost = pairs.count((0, 1)), pairs.count((1, 0))
    discordant = won + lost
    # Whole numbers neither overflow nor lose digits, however many items differ.
    tail, ways = 0, 1
    for count in range(min(won, lost) + 1):
        tail += ways
        ways = ways * (discordant - count) // (count + 1)
    return min(1.0, 2 * tail / 2**discordant)


def holm_adjusted(p_values: Sequence[float]) -> list[float]:
    """p-values of one table, adjusted so that any false claim in it has at most the stated probability.

    Sorted upwards, the i-th of m (from 0) becomes max over j ≤ i of min(1, (m − j)·p_j)
    (Holm, Scandinavian Journal of Statistics 6:2, 1979).
    """
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def seed_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Mean over training seeds with Student's interval: x̄ ± t·s/√n, t at n − 1 degrees of freedom, s with n − 1.

    (Student, Biometrika 6:1, 1908.) One seed says nothing about the spread: its bounds are NaN.

    Raises:
        ValueError: no values.
    """
    if not values:
        raise ValueError("an interval over seeds needs at least one seed")
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return Interval(mean, math.nan, math.nan)
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    reach = student_t_quantile((1 + confidence) / 2, len(values) - 1) * math.sqrt(variance / len(values))
    return Interval(mean, mean - reach, mean + reach)


def student_t_quantile(probability: float, degrees: int) -> float:
    """The t with P(T ≤ t) = `probability`, for `probability` in [0.5, 1): bisection of the closed form.

    For whole degrees of freedom the distribution is a finite sum (Abramowitz and Stegun, Handbook of Mathematical
    Functions, 26.7.3 and 26.7.4).
    """
    low, high = 0.0, 1.0
    while _student_t_distribution(high, degrees) < probability:
        low, high = high, 2 * high
    for _ in range(100):
        middle = (low + high) / 2
        if _student_t_distribution(middle, degrees) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _student_t_distribution(t: float, degrees: int) -> float:
    """P(T ≤ t) for t ≥ 0."""
    angle = math.atan(t / math.sqrt(degrees))
    cosine_squared = math.cos(angle) ** 2
    if degrees % 2:
        total, term = 0.0, math.cos(angle)
        for k in range(1, (degrees - 1) // 2 + 1):
            total += term
            term *= cosine_squared * (2 * k) / (2 * k + 1)
        central = 2 / math.pi * (angle + math.sin(angle) * total)
    else:
        total, term = 0.0, 1.0
        for k in range(1, degrees // 2 + 1):
            total += term
            term *= cosine_squared * (2 * k - 1) / (2 * k)
        central = math.sin(angle) * total
    return (1 + central) / 2


def _cluster_totals(values: Sequence[float], clusters: Sequence[Hashable]) -> tuple[np.ndarray, np.ndarray]:
    """The sum and the number of items of each cluster, both `[clusters]`, float64."""
    if not values or len(values) != len(clusters):
        raise ValueError(f"{len(values)} values and {len(clusters)} cluster labels do not make a sample")
    index: dict[Hashable, int] = {}
    of_item = [index.setdefault(cluster, len(index)) for cluster in clusters]
    sums = np.bincount(of_item, weights=np.asarray(values, dtype=np.float64))
    return sums, np.bincount(of_item).astype(np.float64)
