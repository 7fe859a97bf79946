"""Numbers that may miss their gold by a little: exact first, then the tolerance of the data set."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import NamedTuple

from lmm_r1.answer_rules import AnswerRules
from lmm_r1.rewards.answers.amounts import split_currency, with_digits
from lmm_r1.rewards.answers.arithmetic import Value, arithmetic_value
from lmm_r1.rewards.answers.bases import value_and_base, with_bases
from lmm_r1.rewards.answers.markup import bare
from lmm_r1.rewards.answers.mathematics import judge_mathematics
from lmm_r1.rewards.answers.notation import in_latex
from lmm_r1.rewards.answers.units import same_unit
from lmm_r1.rewards.claim import Claim

_FLOAT_ERROR = 1e-12
_LONGEST = 256
_UNITS = (
    "mm|cm|dm|m|km|in|ft|yd|mi|inch|inches|foot|feet|miles|meters?|metres?|centimeters?|centimetres?|kilometers?|"
    "kilometres?|mg|g|kg|grams?|kilograms?|ml|l|liters?|litres?|s|sec|seconds?|min|minutes?|h|hours?|days?|weeks?|"
    "months?|years?|dollars?|cents?|euros?|rupees?|yuan|yen|degrees?|deg|units?"
)
_SHORT = {"inche": "in", "inch": "in", "feet": "ft", "foot": "ft", "mile": "mi", "gram": "g", "kilogram": "kg"} | {
    "second": "s",
    "sec": "s",
    "minute": "min",
    "hour": "h",
    "liter": "l",
    "litre": "l",
    "degree": "deg",
}
_METRE = {"meter": "m", "metre": "m", "centimeter": "cm", "centimetre": "cm", "kilometer": "km", "kilometre": "km"}
_UNIT = re.compile(
    rf"(?<=[0-9)}}\spiπ])\s*(?:\\(?:text|mathrm|textrm|mbox)\s*\{{\s*(?P<text>(?:square\s+|cubic\s+)?(?:{_UNITS}))\.?\s*\}}"
    rf"|(?<![A-Za-z\\])(?P<plain>(?:square\s+|cubic\s+)?(?:{_UNITS})))(?:\s*\^?\s*\{{?(?P<power>[23²³])\}}?)?$",
    re.IGNORECASE,
)
_DEGREES = re.compile(r"\s*(?:°|\^\s*\\circ|\^\s*\{\s*\\circ\s*\})$")
_PERCENT = re.compile(r"\s*\\?%$|\s+per\s?cent$", re.IGNORECASE)
_ASSIGNMENT = re.compile(r"^\$?\s*\\?[A-Za-z]+(?:_\w|_\{[^{}]*\})?\s*(?:=|≈|\\approx(?![a-z]))\s*(?=[^=])")


class Quantity(NamedTuple):
    """A number as it was written."""

    value: Value
    unit: str
    is_percent: bool
    base: int = 10


def quantity(text: str) -> Quantity | None:
    """The one number that a text is, perhaps with a unit of the usual ones, after `x =`; None for anything else."""
    text = " ".join(bare(text).split())  # runs of spaces would make the searches below quadratic
    if len(text) > _LONGEST:
        return None
    text = with_digits(with_bases(in_latex(text)))
    text, currency = split_currency(bare(_ASSIGNMENT.sub("", text)))
    if (numeral := value_and_base(text)) is not None:
        return Quantity(numeral[0], currency, False, numeral[1])
    percent = _PERCENT.search(text)
    text = _DEGREES.sub("", _PERCENT.sub("", text))
    unit = _UNIT.search(text)
    value = arithmetic_value(text[: unit.start()] if unit else text)
    if value is None:
        return None
    return Quantity(value, _unit_name(unit) if unit else currency, percent is not None)


def judge_number(claim: Claim) -> str:
    """Whether both are the same number, or as near as the rules allow.

    Fractions are compared exactly, roots and π to twelve digits. A unit that both state must be the same.
    """
    expected, given = quantity(claim.gold), quantity(claim.answer)
    if expected is None or given is None:
        return "unparsable"
    return "ok" if same_quantity(expected, given, claim.rules) else "wrong"


def judge_value(claim: Claim) -> str:
    """Whether both are mathematically the same, or, where the rules have a tolerance, numbers that near."""
    reason = judge_mathematics(claim.gold, claim.answer, claim.choices, percent=claim.rules.percent)
    if reason == "ok" or not (claim.rules.relative_tolerance or claim.rules.absolute_tolerance):
        return reason
    return "ok" if judge_number(claim) == "ok" else reason


def same_quantity(expected: Quantity, given: Quantity, rules: AnswerRules) -> bool:
    """Whether two numbers agree in one of the readings that the rules give to percents."""
    if expected.base != given.base or not same_unit(expected.unit, given.unit):
        return False
    if expected.is_percent and given.is_percent:
        return near(expected.value, given.value, rules)
    return any(
        near(gold, answer, rules)
        for gold in _readings(expected, rules.percent)
        for answer in _readings(given, rules.percent)
    )


def near(expected: Value, given: Value, rules: AnswerRules) -> bool:
    """Whether `given` is `expected` or within the wider of the two tolerances."""
    if isinstance(expected, Fraction) and isinstance(given, Fraction):
        allowed: Value = max(_exact(rules.relative_tolerance) * abs(expected), _exact(rules.absolute_tolerance))
        return abs(given - expected) <= allowed
    expected, given = float(expected), float(given)
    if math.isclose(expected, given, rel_tol=_FLOAT_ERROR):
        return True
    return abs(given - expected) <= max(rules.relative_tolerance * abs(expected), rules.absolute_tolerance)


def _unit_name(unit: re.Match[str]) -> str:
    """One name for one unit: `cm2` for square centimetres however they are written."""
    *size, name = (unit["text"] or unit["plain"]).casefold().split()
    single = name if len(name) < 3 else name.removesuffix("s")
    power = {"square": "2", "cubic": "3", "²": "2", "³": "3"}
    exponent = size[0] if size else unit["power"] or ""
    return (_SHORT | _METRE).get(single, single) + power.get(exponent, exponent)


def _readings(number: Quantity, percent: str) -> tuple[Value, ...]:
    if not number.is_percent:
        return (number.value,)
    return {"fraction": (number.value / 100,), "number": (number.value,), "either": (number.value / 100, number.value)}[
        percent
    ]


def _exact(tolerance: float) -> Fraction:
    return Fraction(str(tolerance))
