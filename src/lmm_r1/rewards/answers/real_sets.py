"""Sets of real numbers as unions of intervals: put in order, joined where they touch, cut and subtracted."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

from lmm_r1.rewards.answers.arithmetic import Value, arithmetic_value
from lmm_r1.rewards.answers.brackets import matched

_INFINITY = re.compile(r"([+-]?)\s*(?:\\infty|∞|infty|infinity|inf|oo)", re.IGNORECASE)
_FLOAT_ERROR = 1e-12
LOWEST, HIGHEST = "-\\infty", "\\infty"


class Interval(NamedTuple):
    """From `low` to `high`, as they are written; an end is closed where it belongs to the interval."""

    low: str
    high: str
    low_closed: bool
    high_closed: bool


Pieces = list[Interval]
"""A union of intervals; a point is the closed interval from itself to itself, the empty set has no piece."""

ALL: Pieces = [Interval(LOWEST, HIGHEST, False, False)]


def point(value: str) -> Interval:
    return Interval(value, value, True, True)


def infinity(end: str) -> str | None:
    """`+` or `-` where an end is infinite."""
    found = _INFINITY.fullmatch(end.strip())
    return (found[1] or "+") if found else None


def simplified(end: str) -> str:
    """The end as a fraction where it is one, else as it is written."""
    value = arithmetic_value(end)
    return str(value) if isinstance(value, Fraction) else end


def in_order(pieces: Pieces) -> Pieces:
    """The same set in its fewest pieces, from left to right; as it is where an end is no number."""
    if not is_numeric(pieces):
        return pieces
    found: Pieces = []
    for piece in sorted(filter(_has_points, pieces), key=lambda piece: (_value(piece.low), not piece.low_closed)):
        if found and _touch(found[-1], piece):
            found[-1] = _hull(found[-1], piece)
        else:
            found.append(piece)
    return found


def common(first: Pieces, second: Pieces) -> Pieces | None:
    """What both sets hold; None where that depends on a letter."""
    for one, other in ((first, second), (second, first)):
        if one == ALL:
            return other
    if not is_numeric(first) or not is_numeric(second):
        return None
    return in_order([_overlap(one, other) for one in first for other in second])


def without(pieces: Pieces, taken: Pieces) -> Pieces | None:
    """What the first set holds and the second does not; None where that depends on a letter."""
    if pieces == ALL and len(taken) == 1 and taken[0] == point(taken[0].low):
        place = taken[0].low
        return [Interval(LOWEST, place, False, False), Interval(place, HIGHEST, False, False)]
    if not is_numeric(taken):
        return None
    left: Pieces = []
    low, low_closed = LOWEST, False
    for piece in in_order(taken):
        left.append(Interval(low, piece.low, low_closed, not piece.low_closed and infinity(piece.low) is None))
        low, low_closed = piece.high, not piece.high_closed and infinity(piece.high) is None
    return common(pieces, [*left, Interval(low, HIGHEST, low_closed, False)])


def turned_round(piece: Interval) -> bool:
    """Whether an interval ends before it begins."""
    return is_numeric([piece]) and not _has_points(piece)


def is_numeric(pieces: Pieces) -> bool:
    """Whether all ends are numbers."""
    return all(_value(end) is not None for piece in pieces for end in piece[:2])


def _value(end: str) -> Value | None:
    sign = infinity(end)
    return arithmetic_value(end) if sign is None else {"+": math.inf, "-": -math.inf}[sign]


def _same(one: Value, other: Value) -> bool:
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return one == other
    return math.isclose(one, other, rel_tol=_FLOAT_ERROR)


def _has_points(piece: Interval) -> bool:
    low, high = _value(piece.low), _value(piece.high)
    return piece.low_closed and piece.high_closed if _same(low, high) else low < high


def _touch(left: Interval, right: Interval) -> bool:
    """Whether no number lies between the two; the left one begins first."""
    end, start = _value(left.high), _value(right.low)
    return left.high_closed or right.low_closed if _same(end, start) else start < end


def _hull(left: Interval, right: Interval) -> Interval:
    last, closed = _further(left, right)
    return Interval(left.low, last, left.low_closed, closed)


def _further(left: Interval, right: Interval) -> tuple[str, bool]:
    """The end of the one that reaches further, and whether it belongs to either."""
    if _same(_value(left.high), _value(right.high)):
        return left.high, left.high_closed or right.high_closed
    return max(left, right, key=lambda piece: _value(piece.high))[1::2]


def _overlap(one: Interval, other: Interval) -> Interval:
    first, last = max(one, other, key=lambda piece: _value(piece.low)), min(one, other, key=lambda p: _value(p.high))
    low_closed, high_closed = first.low_closed, last.high_closed
    if _same(_value(one.low), _value(other.low)):
        low_closed = one.low_closed and other.low_closed
    if _same(_value(one.high), _value(other.high)):
        high_closed = one.high_closed and other.high_closed
    return Interval(first.low, last.high, low_closed, high_closed)


def same_pieces(expected: Pieces, given: Pieces, same: Callable[[str, str], bool]) -> bool:
    """Whether two unions have the same parts in any order, `same` saying whether two finite ends are."""

    def same_end(gold: str, answer: str) -> bool:
        infinite = infinity(gold), infinity(answer)
        return infinite[0] == infinite[1] if any(infinite) else same(gold, answer)

    def same_piece(gold: Interval, answer: Interval) -> bool:
        return gold[2:] == answer[2:] and same_end(gold.low, answer.low) and same_end(gold.high, answer.high)

    return matched(expected, given, same_piece)
