"""Laws of the error bars."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmm_r1.evaluation.statistics import (
    accuracy_interval,
    cluster_bootstrap_interval,
    holm_adjusted,
    mcnemar_p_value,
    paired_difference,
    seed_interval,
    student_t_quantile,
    wilson_interval,
)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_values_of_newcombe_1998(successes, trials, low, high):
    """Newcombe, Statistics in Medicine 17:857, table I, method 3."""
    interval = wilson_interval(successes, trials)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 500).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials))))
def test_wilson_holds_the_proportion_and_mirrors(case):
    successes, trials = case
    interval = wilson_interval(successes, trials)
    assert 0 <= interval.low <= interval.mean <= interval.high <= 1
    assert interval.low < interval.high
    mirrored = wilson_interval(trials - successes, trials)
    assert (1 - mirrored.high, 1 - mirrored.low) == pytest.approx((interval.low, interval.high))


def test_wilson_refuses_what_is_no_proportion():
    for successes, trials in ((0, 0), (-1, 5), (6, 5)):
        with pytest.raises(ValueError, match="proportion"):
            wilson_interval(successes, trials)


def test_wilson_covers_the_truth_as_often_as_it_says():
    generator = np.random.default_rng(0)
    for truth, trials in product((0.05, 0.4), (30, 200)):
        draws = generator.binomial(trials, truth, size=2000)
        intervals = [wilson_interval(int(draw), trials) for draw in draws]
        covered = np.mean([interval.low <= truth <= interval.high for interval in intervals])
        assert 0.93 < covered < 0.98


def clustered_sample(generator: np.random.Generator, clusters: int, size: int) -> tuple[list[float], list[int]]:
    """Items whose chance of being right is shared by their cluster; the mean chance is 0.5."""
    chances = generator.beta(0.5, 0.5, clusters)
    return list(generator.binomial(1, np.repeat(chances, size)).astype(float)), list(np.repeat(range(clusters), size))


def test_cluster_bootstrap_covers_the_truth_where_taking_items_as_independent_does_not(monkeypatch):
    monkeypatch.setattr("lmm_r1.evaluation.statistics.RESAMPLES", 300)
    generator = np.random.default_rng(1)
    clustered, naive = [], []
    for _ in range(200):
        values, clusters = clustered_sample(generator, clusters=120, size=5)
        interval = cluster_bootstrap_interval(values, clusters)
        clustered.append(interval.low <= 0.5 <= interval.high)
        interval = wilson_interval(sum(values), len(values))
        naive.append(interval.low <= 0.5 <= interval.high)
    assert np.mean(clustered) > 0.9
    assert np.mean(naive) < 0.85


def test_bootstrap_is_reproducible_and_does_not_care_how_clusters_are_named():
    generator = np.random.default_rng(2)
    values, clusters = list(generator.random(150)), list(np.repeat(range(50), 3))
    interval = cluster_bootstrap_interval(values, clusters, seed=4)
    assert interval == cluster_bootstrap_interval(values, [f"c{number}" for number in clusters], seed=4)
    assert interval != cluster_bootstrap_interval(values, clusters, seed=5)
    assert interval.mean == pytest.approx(np.mean(values))


def test_bootstrap_of_independent_items_agrees_with_the_normal_interval():
    values = np.random.default_rng(3).normal(size=400)
    interval = cluster_bootstrap_interval(list(values), range(400))
    assert interval.half_width == pytest.approx(1.96 * values.std() / math.sqrt(400), rel=0.08)


def test_independent_right_and_wrong_items_get_wilsons_interval():
    values = [1.0] * 150 + [0.0] * 50
    assert accuracy_interval(values, range(200)) == wilson_interval(150, 200)


def test_five_renderings_of_one_problem_do_not_pass_for_five_problems():
    values, alone = [1.0, 0.0] * 20, list(range(40))
    fivefold = accuracy_interval(
        [value for value in values for _ in range(5)], [name for name in alone for _ in range(5)]
    )
    assert fivefold == wilson_interval(20, 40)


def test_accuracy_of_many_clusters_is_bootstrapped():
    values, clusters = clustered_sample(np.random.default_rng(4), clusters=150, size=4)
    assert accuracy_interval(values, clusters) == cluster_bootstrap_interval(values, clusters)


def test_a_perfect_score_still_has_an_interval():
    interval = accuracy_interval([1.0] * 600, [number // 5 for number in range(600)])
    assert interval.mean == interval.high == 1
    assert interval.low == pytest.approx(wilson_interval(120, 120).low)


def test_a_run_compared_with_itself_has_gained_nothing():
    values = [1.0, 0.0, 1.0, 1.0]
    paired = paired_difference(values, values, range(4))
    assert (paired.difference.mean, paired.difference.low, paired.difference.high) == (0, 0, 0)
    assert paired.p_value == 1


def test_pairing_is_narrower_than_the_two_runs_apart():
    generator = np.random.default_rng(5)
    before = generator.integers(0, 2, 400).astype(float)
    after = np.where(generator.random(400) < 0.1, 1.0, before)
    paired = paired_difference(list(before), list(after), range(400))
    assert paired.difference.low > 0
    assert paired.p_value < 0.001
    assert paired.difference.half_width < wilson_interval(before.sum(), 400).half_width / 1.5


def test_swapping_the_runs_turns_the_sign_and_keeps_the_p_value():
    before, after = [0, 0, 0, 1, 1, 0], [1, 1, 0, 1, 0, 1]
    forth, back = (paired_difference(*runs, range(6)) for runs in ((before, after), (after, before)))
    assert forth.difference.mean == -back.difference.mean
    assert forth.p_value == back.p_value


def test_mcnemar_is_absent_where_its_assumptions_fail():
    assert paired_difference([0.5, 1], [1, 1], range(2)).p_value is None
    assert paired_difference([0, 1], [1, 1], [0, 0]).p_value is None


def test_pairs_of_different_length_are_refused():
    with pytest.raises(ValueError, match="no pairs"):
        paired_difference([1], [1, 0], range(2))


def test_mcnemar_is_the_exact_binomial_test():
    """Nine changes for the better and one for the worse: 2 · (1 + 10) / 2^10."""
    before, after = [0] * 9 + [1] + [1] * 30, [1] * 9 + [0] + [1] * 30
    assert mcnemar_p_value(before, after) == pytest.approx(22 / 1024)
    assert mcnemar_p_value([0, 1] * 3000, [1, 0] * 3000) == 1


def test_holm_adjusts_as_in_the_textbook():
    assert holm_adjusted([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm_adjusted([]) == []


@pytest.mark.parametrize(
    ("degrees", "quantile"),
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (9, 2.2622), (30, 2.0423), (1000, 1.9623)],
)
def test_students_quantile_matches_the_printed_table(degrees, quantile):
    assert student_t_quantile(0.975, degrees) == pytest.approx(quantile, abs=6e-5)


def test_interval_over_three_seeds_is_students():
    interval = seed_interval([0.50, 0.54, 0.61])
    assert interval.mean == pytest.approx(0.55)
    assert interval.half_width == pytest.approx(4.30265 * np.std([0.50, 0.54, 0.61], ddof=1) / math.sqrt(3), rel=1e-5)


def test_one_seed_has_a_mean_and_no_interval():
    interval = seed_interval([0.5])
    assert interval.mean == 0.5
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)


def test_no_values_are_refused():
    with pytest.raises(ValueError, match="seed"):
        seed_interval([])
    with pytest.raises(ValueError, match="sample"):
        cluster_bootstrap_interval([], [])
