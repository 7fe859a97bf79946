"""Laws of the comparison of two evaluations."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from lmm_r1.errors import UserError
from lmm_r1.evaluation.compare import compare, comparison_table
from lmm_r1.evaluation.outcomes import Outcome


def outcomes(right: list[bool]) -> list[Outcome]:
    """Items alternate between two renderings of one latent problem."""
    return [
        Outcome(
            problem=f"p{place // 2}/{rendering}",
            latent=f"p{place // 2}",
            source="made",
            family="chain",
            rendering=rendering,
            sample=0,
            correct=good,
            reward=float(good),
            format=1.0,
            reason="ok",
            length=3,
            truncated=False,
        )
        for place, good in enumerate(right)
        for rendering in [("text_only", "vision_only")[place % 2]]
    ]


BEFORE = outcomes([True, False] * 20)
AFTER = outcomes([True, True] * 18 + [True, False] * 2)


def test_an_evaluation_compared_with_itself_shows_no_gain():
    for part in compare(BEFORE, BEFORE):
        assert part.paired.difference.mean == part.paired.difference.low == part.paired.difference.high == 0


def test_gains_are_found_where_they_are():
    text, vision, everything = compare(BEFORE, AFTER)
    assert (text.rendering, text.paired.difference.mean, text.paired.p_value) == ("text_only", 0, 1)
    assert vision.paired.difference.mean == pytest.approx(0.9)
    assert vision.paired.p_value == pytest.approx(2 / 2**18)
    assert everything.paired.difference.mean == pytest.approx(0.45)
    assert everything.paired.p_value is None


def test_the_order_of_rows_does_not_matter():
    assert compare(BEFORE, AFTER[::-1]) == compare(BEFORE, AFTER)


def test_different_problems_are_refused():
    with pytest.raises(UserError, match="differ in 2 problems"):
        compare(BEFORE, [replace(AFTER[0], problem="other"), *AFTER[1:]])


def test_problems_that_one_of_them_could_not_be_asked_are_left_out():
    both = compare(BEFORE[2:], AFTER[2:])
    assert compare(BEFORE[2:], AFTER, (2, 0)) == compare(BEFORE, AFTER[2:], (0, 2)) == both
    for not_answered in ((0, 2), (1, 0)):
        with pytest.raises(UserError, match="differ in 2 problems"):
            compare(BEFORE[2:], AFTER, not_answered)


def test_the_table_corrects_its_p_values_together():
    console = Console(width=120, file=io.StringIO())
    console.print(comparison_table(compare(BEFORE, AFTER)))
    vision = next(line for line in console.file.getvalue().splitlines() if "vision_only" in line)
    assert "+90.0" in vision
    assert f"{2 * 2 / 2**18:.2g}" in vision
