"""Intervals and their unions: ends judged as mathematics, and open or closed as in the gold."""

from __future__ import annotations

import re
from typing import NamedTuple

from lmm_r1.rewards.answers.brackets import MOST_ELEMENTS, cleaned, elements, enclosed, matched
from lmm_r1.rewards.answers.mathematics import judge_gold
from lmm_r1.rewards.answers.tolerance import judge_value
from lmm_r1.rewards.claim import Claim

_UNION = re.compile(r"\s*(?:\\cup(?![a-z])|∪|(?<=[\])}])\s*U\s*(?=[\[({\\])|\\text\s*\{\s*or\s*\}|\bor\b)\s*")
_INFINITY = re.compile(r"([+-]?)\s*(?:\\infty|∞|infty|infinity|inf|oo)", re.IGNORECASE)
_LESS = {"<": False, "\\lt": False, "≤": True, "<=": True, "\\leq": True, "\\le": True, "\\leqslant": True}
_GREATER = {">": False, "\\gt": False, "≥": True, ">=": True, "\\geq": True, "\\ge": True, "\\geqslant": True}
_RELATION = re.compile(r"\s*(<=|>=|[<>≤≥]|\\(?:leqslant|geqslant|leq|geq|le|ge|lt|gt)(?![a-z]))\s*")
_VARIABLE = re.compile(r"\\?[A-Za-z]+")


class Interval(NamedTuple):
    """From `low` to `high`, as they are written; an end is closed where it belongs to the interval."""

    low: str
    high: str
    low_closed: bool
    high_closed: bool


def judge_interval(claim: Claim) -> str:
    r"""Whether both are the same interval or union of intervals, in any order of its parts.

    `[0, 1)`, `(-\\infty, 2] \\cup \\{5\\}` and `0 \\le x < 1` are intervals; an infinite end must be open.
    """
    expected, given = parse_intervals(claim.gold), parse_intervals(claim.answer)
    if expected is None or given is None:
        return "unparsable"

    def same_end(gold: str, answer: str) -> bool:
        infinite = _infinity(gold), _infinity(answer)
        if any(infinite):
            return infinite[0] == infinite[1]
        return judge_value(claim._replace(gold=gold, answer=answer)) == "ok"

    def same(gold: Interval, answer: Interval) -> bool:
        return gold[2:] == answer[2:] and same_end(gold.low, answer.low) and same_end(gold.high, answer.high)

    return "ok" if matched(expected, given, same) else "wrong"


def judge_own_interval(claim: Claim) -> str:
    """Whether the gold is an interval whose ends parse."""
    pieces = parse_intervals(claim.gold)
    if pieces is None:
        return "unparsable"
    ends = [end for piece in pieces for end in piece[:2] if _infinity(end) is None]
    return next((reason for end in ends if (reason := judge_gold(end)) != "ok"), "ok")


def parse_intervals(text: str) -> list[Interval] | None:
    """The parts of a union, one for an interval; None for anything else."""
    found: list[Interval] = []
    for piece in _UNION.split(cleaned(text)):
        parsed = _bracketed(piece) or _points(piece) or _inequality(piece)
        if not parsed:
            return None
        found.extend(parsed)
    infinite_and_closed = any(
        (closed and _infinity(end)) or not end
        for piece in found
        for end, closed in ((piece.low, piece.low_closed), (piece.high, piece.high_closed))
    )
    return None if infinite_and_closed or len(found) > MOST_ELEMENTS else found


def _bracketed(piece: str) -> list[Interval]:
    if piece[:1] not in ("(", "[") or piece[-1:] not in (")", "]"):
        return []
    ends = elements(piece[1:-1])
    if len(ends) != 2:
        return []
    return [Interval(ends[0], ends[1], piece[0] == "[", piece[-1] == "]")]


def _points(piece: str) -> list[Interval]:
    r"""`\{3\}` is the closed interval from 3 to 3."""
    inside = enclosed(piece, "{", "}")
    return [Interval(point, point, True, True) for point in elements(inside or "")]


def _inequality(piece: str) -> list[Interval]:
    """`0 < x <= 1`, `x > 3`, `3 >= x`."""
    parts = _RELATION.split(piece.strip())
    values, relations = parts[::2], parts[1::2]
    if len(relations) not in (1, 2) or not all(values):
        return []
    if all(relation in _GREATER for relation in relations):
        values, relations = values[::-1], relations[::-1]
        closed = [_GREATER[relation] for relation in relations]
    elif all(relation in _LESS for relation in relations):
        closed = [_LESS[relation] for relation in relations]
    else:
        return []
    if len(values) == 3:
        return [Interval(values[0], values[2], *closed)] if _VARIABLE.fullmatch(values[1]) else []
    if _VARIABLE.fullmatch(values[0]) and not _VARIABLE.fullmatch(values[1]):
        return [Interval("-\\infty", values[1], False, closed[0])]
    return [Interval(values[0], "\\infty", closed[0], False)] if _VARIABLE.fullmatch(values[1]) else []


def _infinity(end: str) -> str | None:
    """`+` or `-` where an end is infinite."""
    found = _INFINITY.fullmatch(end.strip())
    return (found[1] or "+") if found else None
