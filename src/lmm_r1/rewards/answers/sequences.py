r"""Sequences with dots: `2, 4, \ldots, 2m`.

Dots hide terms, so such an answer is never left to algebra, which drops them. Two sequences are the same where their
terms correspond, where one shows more terms of a progression that both begin, and where a progression of numbers is
written out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from lmm_r1.rewards.answers.arithmetic import arithmetic_value
from lmm_r1.rewards.answers.brackets import cleaned, elements, enclosed

_DOTS = re.compile(r"\\[lc]?dots[cbmio]?(?![A-Za-z])|\.(?:\s?\.){2,}|…+|⋯+|\\ldotp\s*\\ldotp\s*\\ldotp")
_DECIMAL = re.compile(r"[0-9]*\.[0-9]+\s*(?:\.{3,}|…|\\[lc]?dots(?![A-Za-z]))")
_MANY = "…"
_SIDE = re.compile(r"(?<![<>!:\\=])=(?!=)")
_NAME = re.compile(r"\s*\\?[A-Za-z]+(?:_\w|_\{\w+\})?\s*")
_SPACE = re.compile(r"\s+|\\q?quad(?![A-Za-z])|\\[,;:! ]|~")
_MOST_TERMS = 100
"""Of a progression that is written out."""

Same = Callable[[str, str], bool]


class _Sequence(NamedTuple):
    """The terms between the dots, and the brackets around them all."""

    runs: list[list[str]]
    opening: str


def has_dots(text: str) -> bool:
    """Whether dots stand in the text for terms; those of `0.333…` go on with a number."""
    return _DOTS.search(_DECIMAL.sub(" ", text)) is not None


def judge_sequences(expected: str, given: str, same: Same) -> str | None:
    """The verdict where dots stand in either of the two, `same` saying whether two terms are; None where none do."""
    if not has_dots(expected) and not has_dots(given):
        return None
    expected, given = _last_side(expected), _last_side(given)
    if not has_dots(expected) and not has_dots(given):
        return None
    gold, answer = _sequence(expected), _sequence(given)
    if gold is None or answer is None:
        return "ok" if _unspaced(expected) == _unspaced(given) else "wrong"
    if gold.opening and answer.opening and gold.opening != answer.opening:
        return "wrong"
    return "ok" if _same_runs(gold.runs, answer.runs, same) else "wrong"


def terms(text: str) -> list[str] | None:
    """The terms of a sequence that are shown; None where dots stand between other things than terms."""
    found = _sequence(_last_side(text))
    return None if found is None else [term for run in found.runs for term in run]


def _last_side(text: str) -> str:
    r"""`1, 2, \ldots` of `n = 1, 2, \ldots`, and the value that `1 + 2 + \ldots + n = 3` ends in."""
    *_, last = _SIDE.split(text)
    return last


def _sequence(text: str) -> _Sequence | None:
    text = cleaned(_DOTS.sub(f" {_MANY} ", text))
    opening = next(
        (opening for opening, closing in ("()", "[]", "{}") if enclosed(text, opening, closing) is not None), ""
    )
    inside = enclosed(text, opening, {"(": ")", "[": "]", "{": "}"}[opening]) if opening else text
    runs: list[list[str]] = [[]]
    for element in elements(inside):
        if element == _MANY:
            runs.append([])
        elif _MANY in element or not element:
            return None
        else:
            runs[-1].append(element)
    shown = sum(map(len, runs))
    return _Sequence(runs, opening) if shown > 1 and len(runs) <= 3 else None


def _same_runs(first: list[list[str]], second: list[list[str]], same: Same) -> bool:
    if len(first) == len(second) and all(
        _same_terms(one, other, same) for one, other in zip(first, second, strict=True)
    ):
        return True
    if len(first) == len(second) == 2:
        return _same_terms(first[1], second[1], same) and _same_start(first[0], second[0])
    if sorted((len(first), len(second))) != [1, 2]:
        return False
    hidden, shown = (first, second[0]) if len(first) == 2 else (second, first[0])
    return _written_out(*hidden) == _numbers(shown) is not None


def _same_terms(first: list[str], second: list[str], same: Same) -> bool:
    return len(first) == len(second) and all(map(same, first, second))


def _same_start(first: list[str], second: list[str]) -> bool:
    """Whether one start is that of the other with more terms of the progression that both make plain."""
    shorter, longer = sorted((_numbers(first) or [], _numbers(second) or []), key=len)
    if shorter != longer[: len(shorter)]:
        return False
    return _is_arithmetic(shorter, longer) or _is_geometric(shorter, longer)


def _written_out(start: list[str], end: list[str]) -> list[Fraction] | None:
    """All terms of a progression of numbers with an end."""
    first, last = _numbers(start), _numbers(end)
    if not first or not last:
        return None
    if _is_arithmetic(first, first):
        factor, step = Fraction(1), first[1] - first[0]
    elif _is_geometric(first, first):
        factor, step = first[1] / first[0], Fraction(0)
    else:
        return None
    found = list(first)
    while len(found) < _MOST_TERMS and found[-1] != last[0]:
        found.append(found[-1] * factor + step)
    return found + last[1:] if found[-1] == last[0] and len(found) > len(first) else None


def _is_arithmetic(shorter: list[Fraction], longer: list[Fraction]) -> bool:
    """Whether two terms and more go up or down by the same step."""
    steps = {right - left for left, right in pairwise(longer)}
    return len(shorter) > 1 and len(steps) == 1 and 0 not in steps


def _is_geometric(shorter: list[Fraction], longer: list[Fraction]) -> bool:
    """Whether three terms and more grow by the same factor; two may be anything."""
    if len(shorter) < 3 or 0 in longer:
        return False
    factors = {right / left for left, right in pairwise(longer)}
    return len(factors) == 1 and 1 not in factors


def _numbers(run: list[str]) -> list[Fraction] | None:
    values = [arithmetic_value(term) for term in run]
    return values if all(isinstance(value, Fraction) for value in values) else None


def _unspaced(text: str) -> str:
    return _SPACE.sub("", _DOTS.sub(_MANY, text))
