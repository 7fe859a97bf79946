"""Mathematical expressions: math_verify, with a cheap exact path before it and guards around it.

Where the two kinds of error pull against each other, avoiding the false positive comes first: a policy finds a false
positive and exploits it, while a false negative only slows it down.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

from lmm_r1.answer_rules import PERCENTS
from lmm_r1.rewards.answers.amounts import split_currency
from lmm_r1.rewards.answers.announcement import ANNOUNCEMENT
from lmm_r1.rewards.answers.choice import choice_letter, stated_letter
from lmm_r1.rewards.answers.cleaning import cleaned, column_as_tuple, semicolons_as_commas, without_percent
from lmm_r1.rewards.answers.condition_words import means_a_set
from lmm_r1.rewards.answers.conditions import parse_set
from lmm_r1.rewards.answers.equality import compare_gold, equal
from lmm_r1.rewards.answers.guards import LONGEST_EXPRESSION, LONGEST_RESPONSE, differs_in_form, hopeless
from lmm_r1.rewards.answers.markup import bare, boxed_contents
from lmm_r1.rewards.answers.number import exact_number, plain_number
from lmm_r1.rewards.answers.programs import UNCLEAR_LOGARITHM
from lmm_r1.rewards.answers.real_sets import infinity, is_numeric, same_pieces
from lmm_r1.rewards.answers.remarks import Remark, judge_remarks, renamed, same_multiples, split_remark
from lmm_r1.rewards.answers.sequences import has_dots, judge_sequences, terms
from lmm_r1.rewards.answers.statement import final_statement, stated_expression
from lmm_r1.rewards.answers.units import is_weight, same_unit, split_degrees, split_unit, unit_ratio
from lmm_r1.rewards.answers.vectors import judge_vectors
from lmm_r1.rewards.extract import last_answer

Remarked = tuple[str, Remark | None]
_NO_MATHEMATICS = re.compile(r"[^0-9\\]*", re.ASCII)
_ONLY_DIGITS = re.compile(r"[0-9\s.,;]*")


def quick_reason(gold: str, answer: str, percent: str = "either") -> str | None:
    """The verdict where it needs no algebra, else None: the same text, or two plain numbers or percentages.

    Where the gold is a plain number, an answer with no digit and no command is not parsed either, nor one of digits
    that form no number, such as a list.
    """
    if percent not in PERCENTS:
        raise ValueError(f"percent is {percent!r}; it is one of {', '.join(PERCENTS)}")
    if len(answer) > LONGEST_RESPONSE:
        return "unparsable"
    expected_text, given_text = bare(gold), bare(answer)
    if not expected_text or not given_text:
        return "unparsable"
    if len(given_text) > LONGEST_EXPRESSION:
        return None if _worth_reading(given_text) else "unparsable"
    if expected_text == given_text:
        return "ok"
    expected = _number(expected_text)
    if expected is None:
        return None
    given = _number(given_text)
    if given is not None:
        return "ok" if _same_number(expected, given, percent) else "wrong"
    if _ONLY_DIGITS.fullmatch(given_text):
        return "wrong"
    if given_text.isascii() and _NO_MATHEMATICS.fullmatch(given_text):
        return "unparsable"
    return None


def judge_mathematics(gold: str, answer: str, choices: tuple[str, ...] = (), percent: str = "either") -> str:
    """Whether the answer is mathematically the gold. Needs a limit on time and memory around it.

    `percent` says what 50 % is where only one of the two has a percent sign: `"fraction"` (0.5), `"number"` (50) or
    `"either"`: both, but up to 1 % a fraction only, because 0.5 % for 0.5 is more likely a mistake than a convention.
    """
    if (quick := quick_reason(gold, answer, percent)) is not None:
        return quick
    if "answer" in answer and "<" in answer:
        answer = last_answer(answer) or ""
        if (quick := quick_reason(gold, answer, percent)) is not None:
            return quick
    if (letter := choice_letter(gold)) is not None:
        return "ok" if letter == stated_letter(answer) else "wrong"
    remarked = split_remark(gold), split_remark(answer)
    if any(remark for _, remark in remarked):
        return _judge_remarked(*remarked, percent)
    expected, given = stated_expression(_closed(gold)), stated_expression(answer)
    if (reason := _judge_sets((gold, expected), (answer, given), percent)) is not None:
        return reason
    if not expected or not given or len(given) > LONGEST_EXPRESSION:
        return "unparsable"
    if (quick := quick_reason(expected, given, percent)) is not None:
        return quick
    for judge in (judge_sequences, judge_vectors):
        if (reason := judge(expected, given, _same(percent))) is not None:
            return reason
    return _judge_expressions(cleaned(expected), cleaned(given), percent)


def _same(percent: str) -> Callable[[str, str], bool]:
    """Whether two parts of an answer are the same."""
    return lambda gold, answer: judge_mathematics(gold, answer, percent=percent) == "ok"


def _judge_remarked(gold: Remarked, answer: Remarked, percent: str) -> str:
    """The verdict on two answers of which one says what its letters are."""
    if (reason := judge_remarks(gold, answer)) is not None:
        return reason
    (expected, letters), (given, others) = gold, answer
    given = renamed(given, others, letters)
    reason = judge_mathematics(expected, given, percent=percent)
    if (
        reason == "wrong"
        and letters
        and others
        and letters.kind == others.kind == "integer"
        and len(letters.names) == 1
    ):
        sides = stated_expression(expected), stated_expression(given)
        return "ok" if None not in sides and same_multiples(*sides, letters.names[0]) else "wrong"
    return reason


def _judge_sets(gold: tuple[str, str | None], answer: tuple[str, str | None], percent: str) -> str | None:
    """The verdict on two sets of real numbers, each a text and the expression that it states; None for anything else.

    Only where one of them can mean nothing else: `(1, 2)` and `(1, 2)` may be points.
    """
    if not means_a_set(gold[0]) and not means_a_set(answer[0]):
        return None
    expected, given = (
        next(filter(None, map(parse_set, (final_statement(bare(text)), stated or ""))), None)
        for text, stated in (gold, answer)
    )
    if expected is None or given is None:
        return None
    if expected.name and given.name and expected.name != given.name:
        return "wrong"
    if same_pieces(expected.pieces, given.pieces, _same(percent)):
        return "ok"
    # Where letters stand in the ends, algebra may know more.
    return "wrong" if is_numeric(expected.pieces) and is_numeric(given.pieces) else None


def judge_gold(gold: str) -> str:
    """Whether a gold parses and equals itself, without the short cut that the same text is the same answer."""
    if plain_number(gold) is not None:
        return "ok"
    if means_a_set(gold) and (found := parse_set(stated_expression(gold) or "")) is not None:
        ends = [end for piece in found.pieces for end in piece[:2] if infinity(end) is None]
        return next((reason for end in ends if (reason := judge_gold(end)) != "ok"), "ok")
    if (remarked := split_remark(gold))[1] is not None:
        return judge_gold(remarked[0])
    stated = stated_expression(gold) or ""
    if has_dots(stated) and (shown := terms(stated)) is not None:
        return next((reason for term in shown if (reason := judge_gold(term)) != "ok"), "ok")
    expected = cleaned(stated)
    if not expected or hopeless(expected):
        return "unparsable"
    value, _ = without_percent(split_degrees(_split_unit(expected)[0])[0])
    return compare_gold(value.replace(UNCLEAR_LOGARITHM, r"\log"))


def _judge_expressions(expected: str, given: str, percent: str) -> str:
    """The verdict on two expressions in plain LaTeX: signs and units come off first, then values are compared."""
    if not expected or not given or hopeless(given):
        return "unparsable"
    if not (";" in expected and "=" in expected):  # p=5, q=2; p=7, q=2 are two solutions, which math_verify knows
        expected, given = semicolons_as_commas(expected), semicolons_as_commas(given)
    if not is_weight(expected):
        (expected, expected_unit), (given, given_unit) = _split_unit(expected), _split_unit(given)
    else:
        expected_unit = given_unit = ""
    if not same_unit(expected_unit, given_unit):
        return _judge_converted((expected, expected_unit), (given, given_unit))
    expected, given = _without_degrees(expected, given)
    (expected, expected_percent), (given, given_percent) = without_percent(expected), without_percent(given)
    if expected_percent != given_percent:
        return _judge_percentage(*((expected, given) if expected_percent else (given, expected)), percent)
    if (quick := quick_reason(expected, given, percent)) is not None:
        return quick
    if given.startswith("("):
        expected = column_as_tuple(expected)
    return "wrong" if differs_in_form(expected, given) else _equal(expected, given)


def _equal(expected: str, given: str) -> str:
    """Whether the two are equal in one of the readings of a logarithm without a base."""
    if UNCLEAR_LOGARITHM not in expected and UNCLEAR_LOGARITHM not in given:
        return equal(expected, given)
    readings = [[text.replace(UNCLEAR_LOGARITHM, log) for text in (expected, given)] for log in (r"\log", r"\ln")]
    reasons = [equal(*reading) for reading in readings]
    return "ok" if "ok" in reasons else reasons[0]


def _split_unit(text: str) -> tuple[str, str]:
    """The value and its unit or currency."""
    value, unit = split_unit(text)
    amount, currency = split_currency(value)
    return (amount, currency) if currency else (value, unit)


def _judge_converted(expected: tuple[str, str], given: tuple[str, str]) -> str:
    """The verdict on two numbers in different units: `50 mm` is `5 cm`."""
    ratio = unit_ratio(expected[1], given[1])
    numbers = exact_number(expected[0]), exact_number(given[0])
    return "ok" if ratio is not None and None not in numbers and numbers[0] == numbers[1] * ratio else "wrong"


def _judge_percentage(percentage: str, other: str, percent: str) -> str:
    """The verdict on `50\\%` against `0.5`; the sign is off already."""
    given, expected = plain_number(percentage), plain_number(other)
    if given is not None and expected is not None:
        return "ok" if _same_number(_Number(given, True), _Number(expected, False), percent) else "wrong"
    if differs_in_form(other, percentage) or differs_in_form(percentage, other):
        return "wrong"
    if percent != "number" and _equal(rf"\frac{{{percentage}}}{{100}}", other) == "ok":
        return "ok"
    return _equal(percentage, other) if percent == "number" else "wrong"


class _Number(NamedTuple):
    """A plain number as it was written."""

    value: Fraction
    is_percentage: bool
    currency: str = ""


def _number(text: str) -> _Number | None:
    text, is_percentage = without_percent(text)
    amount, currency = split_currency(text)
    number = plain_number(amount)
    return None if number is None else _Number(number, is_percentage, currency)


def _same_number(one: _Number, other: _Number, percent: str) -> bool:
    if not same_unit(one.currency, other.currency):
        return False
    if one.is_percentage == other.is_percentage:
        return one.value == other.value
    percentage, value = (one.value, other.value) if one.is_percentage else (other.value, one.value)
    as_fraction = percentage == 100 * value
    as_number = percentage == value and (percent == "number" or abs(value) > 1)
    return {"fraction": as_fraction, "number": as_number, "either": as_fraction or as_number}[percent]


def _without_degrees(expected: str, given: str) -> tuple[str, str]:
    """Both without a degree sign; radians, which only a multiple of pi can be, are not the same number."""
    (expected, expected_sign), (given, given_sign) = split_degrees(expected), split_degrees(given)
    if expected_sign and not given_sign and r"\pi" in given:
        expected = rf"({expected})\cdot\frac{{\pi}}{{180}}"
    elif given_sign and not expected_sign and r"\pi" in expected:
        given = rf"({given})\cdot\frac{{\pi}}{{180}}"
    return expected, given


def _closed(gold: str) -> str:
    """A gold whose box lost its last brace in a data set. What a policy leaves open stays open: `\\boxed{5` may have
    been cut out of 57.
    """
    return gold if boxed_contents(gold) or "\\boxed{" not in gold else gold + "}"


def _worth_reading(text: str) -> bool:
    """Whether a text too long for an expression may hold one: a whole response."""
    return any(mark in text for mark in ("$", "\\boxed", "\\(", "\\[", "####")) or ANNOUNCEMENT.search(text) is not None
