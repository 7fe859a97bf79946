"""Sets of real numbers: however they are written and cut, and the nearest sets that are others."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmm_r1.rewards import verify
from lmm_r1.rewards.answers.condition_words import means_a_set
from lmm_r1.rewards.answers.conditions import parse_set
from lmm_r1.rewards.answers.real_sets import ALL, Interval, Pieces, common, in_order, without

CASES = [
    json.loads(line)
    for line in (Path(__file__).parent / "real_set_cases.jsonl").read_text(encoding="utf-8").splitlines()
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['gold']} ~ {case['answer']}")
def test_a_set_is_the_same_however_it_is_written(case: dict) -> None:
    for answer_type in case["answer_types"]:
        verdict = verify(case["gold"], case["answer"], answer_type)
        assert verdict.correct is case["correct"], (answer_type, verdict.reason)


def test_there_are_enough_cases_of_both_kinds_and_none_twice() -> None:
    assert len({(case["gold"], case["answer"], *case["answer_types"]) for case in CASES}) == len(CASES) >= 280
    assert sum(not case["correct"] for case in CASES) >= 110


ENDS = [Fraction(n, 2) for n in range(-4, 5)]
PLACES = [Fraction(n, 4) for n in range(-10, 11)]
"""All ends, what lies between them, and what lies beyond."""


def interval(low: int, high: int, low_closed: bool, high_closed: bool) -> Interval:
    low, high = min(low, high), max(low, high)
    ends = ["-\\infty", *map(str, ENDS), "\\infty"]
    return Interval(ends[low], ends[high], low_closed and low > 0, high_closed and high < len(ends) - 1)


INDEX = st.integers(0, len(ENDS) + 1)
SETS = st.lists(st.builds(interval, INDEX, INDEX, st.booleans(), st.booleans()), max_size=5).map(
    lambda pieces: [piece for piece in pieces if piece.low not in (piece.high, "\\infty") or piece.low_closed]
)


def holds(pieces: Pieces, place: Fraction) -> bool:
    def value(end: str) -> Fraction | float:
        return {"-\\infty": -math.inf, "\\infty": math.inf}.get(end) or Fraction(end)

    return any(
        (value(low) < place or (low_closed and value(low) == place))
        and (place < value(high) or (high_closed and place == value(high)))
        for low, high, low_closed, high_closed in pieces
    )


@given(SETS)
def test_in_order_the_set_is_the_same_and_its_parts_lie_apart(pieces: Pieces) -> None:
    ordered = in_order(pieces)
    assert [holds(ordered, place) for place in PLACES] == [holds(pieces, place) for place in PLACES]
    assert all(any(holds([piece], place) for place in PLACES) for piece in ordered)
    assert in_order(ordered) == ordered
    assert in_order(pieces[::-1]) == ordered


@given(SETS, SETS)
def test_common_and_without_hold_what_their_names_say(first: Pieces, second: Pieces) -> None:
    both, rest = common(first, second), without(first, second)
    for place in PLACES:
        assert holds(both, place) is (holds(first, place) and holds(second, place))
        assert holds(rest, place) is (holds(first, place) and not holds(second, place))


@given(SETS)
def test_what_is_left_of_what_is_left_is_the_set(pieces: Pieces) -> None:
    assert in_order(without(ALL, without(ALL, pieces))) == in_order(pieces)


def written(pieces: Pieces) -> str:
    return r"\cup".join(f"{'(['[p.low_closed]}{p.low},{p.high}{')]'[p.high_closed]}" for p in pieces) or r"\emptyset"


@settings(max_examples=40, deadline=None)
@given(SETS.map(lambda pieces: [piece for piece in pieces if piece.low != piece.high]), SETS)
def test_two_unions_are_the_same_answer_where_they_hold_the_same(first: Pieces, second: Pieces) -> None:
    gold = written(in_order(first))
    assert verify(gold, written(first), "interval").correct
    other = [piece for piece in second if piece.low != piece.high]
    same = in_order(first) == in_order(other)
    assert verify(gold, written(other), "interval").correct is same


@given(st.text(alphabet=r"x12<>=\le\neg\cup{}[]()|,;: or and\infty real but-", max_size=60))
def test_reading_a_set_never_raises(text: str) -> None:
    parse_set(text)
    means_a_set(text)


@pytest.mark.parametrize(
    "piece",
    [
        *("x<1 or ", "x<", "[0,1]", r"\cup ", r"\{x|", "real ", "|x|<", "x\\ne1, ", "(", "[", "]"),
        *("all ", "no ", "than ", "0,", "1<x and ", r"\setminus ", r"\mathbb{R}", "x=", "positive ", "the domain of "),
    ],
)
def test_reading_a_set_takes_little_time_whatever_it_is(piece: str) -> None:
    """A quadratic search would take minutes for the first, an exponential one for the second."""
    means_a_set(piece * 20_000)
    parse_set((piece * 512)[:512])
    parse_set((piece * 512)[:500] + "!")
