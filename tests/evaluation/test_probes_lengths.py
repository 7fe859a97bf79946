"""Length against correctness."""

from __future__ import annotations

import numpy as np
import pytest

from lmm_r1.evaluation.probes_lengths import correlation_interval, lengths


def test_the_correlation_is_pearsons_and_lies_in_its_interval():
    generator = np.random.default_rng(0)
    tokens = generator.integers(5, 500, 300)
    right = generator.random(300) < tokens / 500
    found = correlation_interval([float(one) for one in right], tokens.tolist(), range(300))
    assert found.mean == pytest.approx(np.corrcoef(right, tokens)[0, 1])
    assert 0 < found.low < found.mean < found.high < 1


def test_repeating_the_completions_of_a_problem_adds_no_certainty():
    generator = np.random.default_rng(1)
    tokens = generator.integers(5, 500, 60).tolist()
    right = [float(value) for value in generator.random(60) < 0.5]
    once = correlation_interval(right, tokens, range(60))
    often = correlation_interval(right * 8, tokens * 8, list(range(60)) * 8)
    assert often.mean == pytest.approx(once.mean)
    assert often.half_width == pytest.approx(once.half_width, rel=0.1)


def test_too_few_or_constant_numbers_have_no_correlation():
    assert correlation_interval([0, 1], [3, 4], [0, 1]) is None
    assert correlation_interval([1] * 20, range(20), range(20)) is None
    assert correlation_interval([0, 1] * 10, [7] * 20, range(20)) is None


def test_right_and_wrong_completions_have_their_own_means():
    found = lengths([True] * 12 + [False] * 12, [10] * 12 + [30] * 12, list(range(24)))
    assert (found.right.mean, found.wrong.mean) == (10, 30)
    assert found.correlation.mean == pytest.approx(-1)
    assert lengths([True] * 12, [10] * 12, list(range(12))).wrong is None
