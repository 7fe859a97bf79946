r"""Sets of real numbers as people write them: intervals, inequalities, `x \ne 3`, set-builders, and words.

Which set a text means never depends on the gold. Letters in the ends stay what they are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

from lmm_r1.rewards.answers.brackets import MOST_ELEMENTS, enclosed
from lmm_r1.rewards.answers.condition_words import CLOSING, OPENING, in_symbols
from lmm_r1.rewards.answers.real_sets import (
    ALL,
    HIGHEST,
    LOWEST,
    Interval,
    Pieces,
    common,
    in_order,
    infinity,
    point,
    simplified,
    turned_round,
    without,
)

_LONGEST = 512
_NAME = r"(?:[A-Za-z]|\\(?!pi(?![a-z])|infty|mathbb|emptyset|varnothing)[A-Za-z]+)(?:_(?:\w|\{\w+\}))?"
_VARIABLE = re.compile(rf"{_NAME}|[A-Za-z]+")
_MOSTLY_CONSTANT = "eabcdhpqijlfgoruvwskmntθzyx"
"""Of two letters the one that stands later here is the variable."""

_UNION = re.compile(rf"\\cup(?![A-Za-z])|\bor\b|(?<=[\]){CLOSING}])\s*U\s*(?=[\[({OPENING}])")
_BOTH = re.compile(r"\\cap(?![A-Za-z])|\band\b")
_COMMA = re.compile(r"[,;]")
_MINUS = re.compile(r"\\setminus(?![A-Za-z])")
_NO_POINT = re.compile(r"[<>=|]|\\(?:le|ge|leq|geq|ne|neq|in|notin|mathbb)(?![A-Za-z])")
_LIST = re.compile(r"\s*(?:,|\band\b|\bor\b)\s*")
_REALS = re.compile(rf"(?:{_NAME}\s*)?real", re.IGNORECASE)
_BUILDER = re.compile(
    rf"{OPENING}\s*(?P<name>{_NAME})\s*(?:\\in\s*real|real)?\s*(?:\\(?:mid|vert|colon)(?![A-Za-z])|suchthat|[|:;])"
    rf"\s*(?P<rest>.+){CLOSING}"
)
_REALS_BUT = re.compile(rf"real\s*(?:(?P<name>{_NAME})(?![A-Za-z]))?\s*(?P<joint>but|suchthat|,)?\s*(?P<rest>\S.*)")
_MEMBER = re.compile(rf"(?P<name>{_NAME})\s*\\(?P<relation>in|notin|neq?)(?![A-Za-z])\s*(?P<rest>.+)")
_EQUAL = re.compile(rf"(?P<name>{_NAME})\s*=\s*(?P<rest>.+)")
_ABSOLUTE = re.compile(rf"(?:\||\\[lv]ert)\s*(?P<name>{_NAME})\s*(?P<shift>[+-][^|]+?)?\s*(?:\||\\[rv]ert)")
_RELATION = re.compile(r"\s*(<=|>=|[<>]|\\(?:leqslant|geqslant|leqq|geqq|leq|geq|le|ge|lt|gt)(?![A-Za-z]))\s*")


class RealSet(NamedTuple):
    """A set of real numbers, and the letter that runs through it where the text names one."""

    pieces: Pieces
    name: str | None = None


class _NoSetError(Exception):
    """The text is no set of real numbers."""


def parse_set(text: str) -> RealSet | None:
    """The set that a text means; None for anything else, and where it depends on the value of a letter."""
    if len(text) > _LONGEST:
        return None
    try:
        pieces, name = _condition(in_symbols(text))
    except (_NoSetError, RecursionError):
        return None
    closed_at_infinity = any(
        closed and infinity(end)
        for piece in pieces
        for end, closed in ((piece.low, piece.low_closed), (piece.high, piece.high_closed))
    )
    return None if closed_at_infinity or len(pieces) > MOST_ELEMENTS else RealSet(in_order(pieces), name)


def _condition(text: str) -> RealSet:
    """Or, and, without, in the order in which they bind; a comma means "and" where that leaves something."""
    text = text.strip(" .,;")
    if (unequal := _MEMBER.fullmatch(text)) and unequal["relation"].startswith("ne") and _points(unequal["rest"]):
        return RealSet(_without(ALL, _points(unequal["rest"])), unequal["name"])
    if len(parts := _split(text, _UNION)) > 1:
        return _united([_condition(part) for part in parts])
    if len(parts := _split(text, _BOTH)) > 1:
        return _joined([_condition(part) for part in parts], comma=False)
    if len(parts := _split(text, _COMMA)) > 1:
        return _joined([_condition(part) for part in parts], comma=True)
    if len(parts := _split(text, _MINUS)) > 1:
        first, *taken = [_condition(part) for part in parts]
        return RealSet(reduce(_without, (one.pieces for one in taken), first.pieces), first.name)
    return _simple(text)


def _simple(text: str) -> RealSet:
    if text == "empty":
        return RealSet([])
    if _REALS.fullmatch(text):
        return RealSet(ALL)
    if (builder := _BUILDER.fullmatch(text)) is not None:
        return RealSet(_named(builder["name"], _condition(builder["rest"])).pieces)
    if (member := _MEMBER.fullmatch(text)) is not None:
        within = _condition(member["rest"])
        if within.name or member["relation"].startswith("ne"):
            raise _NoSetError
        pieces = within.pieces if member["relation"] == "in" else _without(ALL, within.pieces)
        return RealSet(pieces, member["name"])
    if (reals := _REALS_BUT.fullmatch(text)) is not None:
        return _reals_but(reals)
    if (equal := _EQUAL.fullmatch(text)) is not None:
        rest = equal["rest"].strip()
        return _condition(rest) if rest[:1] in ("(", "[", OPENING) else RealSet(_some_points(rest), equal["name"])
    if text[:1] in ("(", "[") and text[-1:] in (")", "]"):
        return _bracketed(text)
    inside = enclosed(text.replace(OPENING, "{").replace(CLOSING, "}"), "{", "}")
    if inside is None or text[:1] != OPENING:
        return _inequality(text)
    return _inequality(inside.strip()) if _RELATION.search(inside) else RealSet(_some_points(inside))


def _reals_but(reals: re.Match[str]) -> RealSet:
    """All real numbers except some, or with a condition: `real but 3`, `real > 2`, `real x suchthat x > 2`."""
    rest = reals["rest"]
    if reals["joint"] == "but":
        if (equal := _EQUAL.fullmatch(rest)) is not None:
            rest = equal["rest"]
        return RealSet(_without(ALL, _points(rest) or _condition(rest).pieces))
    if _RELATION.match(rest) or rest.startswith("\\ne"):
        rest = f"x {rest}"
    return _named(reals["name"], _condition(rest))


def _bracketed(text: str) -> RealSet:
    ends = [end.strip() for end in _split(text[1:-1], _COMMA)]
    if len(ends) == 1 and (inside := enclosed(text, "(", ")")) is not None:
        return _condition(inside)
    if len(ends) != 2 or not all(ends) or any(_NO_POINT.search(end) for end in ends):
        raise _NoSetError
    interval = Interval(*ends, text[0] == "[", text[-1] == "]")
    if turned_round(interval):
        raise _NoSetError
    return RealSet([interval])


def _inequality(text: str) -> RealSet:
    """`0 < x <= 1`, `x > 3`, `3 >= x`, `|x - 1| < 2`."""
    parts = _RELATION.split(text)
    values, relations = parts[::2], parts[1::2]
    less = ["<" in relation or relation[:2] == "\\l" for relation in relations]
    closed = ["=" in relation or relation[2:3] == "e" for relation in relations]
    if (
        len(relations) not in (1, 2)
        or not all(values)
        or len(set(less)) != 1
        or any(map(_NO_POINT.search, _plain(values)))
    ):
        raise _NoSetError
    if not less[0]:
        values, closed = values[::-1], closed[::-1]
    if len(values) == 3 and _VARIABLE.fullmatch(values[1]):
        return RealSet([Interval(values[0], values[2], *closed)], values[1])
    if len(values) == 3:
        return _joined(
            [_one_inequality(*values[:2], closed[0], values[1]), _one_inequality(*values[1:], closed[1], values[1])],
            comma=False,
        )
    names = [value for value in values if _VARIABLE.fullmatch(value) or _ABSOLUTE.fullmatch(value)]
    if not names:
        raise _NoSetError
    return _one_inequality(*values, closed[0], max(names, key=lambda name: _MOSTLY_CONSTANT.find(name[-1])))


def _plain(values: Sequence[str]) -> list[str]:
    return [value for value in values if not _ABSOLUTE.fullmatch(value)]


def _one_inequality(low: str, high: str, closed: bool, variable: str) -> RealSet:
    """`low < high`, where one of the two is the variable or its absolute value."""
    if (absolute := _ABSOLUTE.fullmatch(variable)) is None:
        if not _VARIABLE.fullmatch(variable):
            raise _NoSetError
        ends = (LOWEST, high, False, closed) if low == variable else (low, HIGHEST, closed, False)
        return RealSet([Interval(*ends)], variable)
    centre = f"-({absolute['shift']})" if absolute["shift"] else ""
    distance = high if low == variable else low
    below, above = simplified(f"{centre}-({distance})"), simplified(f"{centre}+({distance})")
    if low == variable:
        return RealSet([Interval(below, above, closed, closed)], absolute["name"])
    return RealSet([Interval(LOWEST, below, False, closed), Interval(above, HIGHEST, closed, False)], absolute["name"])


def _joined(parts: list[RealSet], comma: bool) -> RealSet:
    """What satisfies all parts. Intervals in a list are all meant, and so are parts that exclude one another."""
    if all(part.name is None for part in parts):
        return _united(parts, apart=True)
    pieces = reduce(_common, (part.pieces for part in parts))
    return _united(parts) if comma and not pieces else RealSet(pieces, _one_name(parts))


def _united(parts: list[RealSet], apart: bool = False) -> RealSet:
    pieces = [piece for part in parts for piece in part.pieces]
    if apart and len(in_order(pieces)) != len(pieces):
        raise _NoSetError
    return RealSet(pieces, _one_name(parts))


def _one_name(parts: list[RealSet]) -> str | None:
    names = {part.name for part in parts} - {None}
    if len(names) > 1:
        raise _NoSetError
    return names.pop() if names else None


def _named(name: str | None, found: RealSet) -> RealSet:
    if name and found.name and name != found.name:
        raise _NoSetError
    return RealSet(found.pieces, name or found.name)


def _some_points(text: str) -> Pieces:
    if not (points := _points(text)):
        raise _NoSetError
    return points


def _points(text: str) -> Pieces:
    r"""The numbers of a list, `\pm 2` being two; none where something else is in it."""
    values = [value for value in _LIST.split(text.strip()) if value]
    if not values or any(_NO_POINT.search(value) for value in values):
        return []
    signed = [value.replace("\\pm", sign) for value in values for sign in ("+-" if "\\pm" in value else "+")]
    return [point(simplified(value)) for value in signed]


def _common(first: Pieces, second: Pieces) -> Pieces:
    return _known(common(first, second))


def _without(pieces: Pieces, taken: Pieces) -> Pieces:
    return _known(without(pieces, taken))


def _known(pieces: Pieces | None) -> Pieces:
    if pieces is None:
        raise _NoSetError
    return pieces


def _split(text: str, separator: re.Pattern[str]) -> list[str]:
    """The parts between separators outside all brackets."""
    parts, depth, start, place = [], 0, 0, 0
    for found in separator.finditer(text):
        between = text[place : found.start()]
        depth += sum(map(between.count, f"([{{{OPENING}")) - sum(map(between.count, f")]}}{CLOSING}"))
        place = found.start()
        if depth == 0:
            parts.append(text[start : found.start()])
            start = found.end()
    return [*parts, text[start:]]
