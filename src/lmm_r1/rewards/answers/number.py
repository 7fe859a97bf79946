"""Numbers, compared exactly."""

from __future__ import annotations

import re
from fractions import Fraction

from lmm_r1.rewards.answers.amounts import split_currency
from lmm_r1.rewards.answers.markup import bare

_GROUPED = re.compile(
    r"(?<![0-9.,'’])[1-9][0-9]{0,2}"
    r"(?:(?:,|\s*\{\s*,\s*\}|,\s*\\!\s*|\\,|\\!|\\ |[\u00a0\u2009\u202f'’])[0-9]{3}(?![0-9]))+"
)
_MERE_COMMAS = re.compile(r"[0-9,]*")
_SPACED = re.compile(r"[+-]?[1-9][0-9]{0,2}(?: [0-9]{3})+(?:\.[0-9]+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?(?:[0-9]+,[0-9]{2}|0,[0-9]+|[0-9]{4,},[0-9]+)")
_DECIMAL = re.compile(r"[+-]?\s*(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_QUOTIENT = re.compile(r"([+-]?)\s*(?:\\[dt]?frac\s*\{([0-9]+)\}\s*\{([0-9]+)\}|([0-9]+)\s*/\s*([0-9]+))")
_LONGEST = 128


def without_separators(text: str) -> str:
    r"""The text with commas and thin spaces between groups of three digits removed: `1{,}234` and `1\,234` are 1234.

    A separator counts only where one to three digits stand before the first group, so `0,123` and `12345,678` keep
    theirs. A mere comma counts only outside brackets: `(1,234)` is a point.
    """

    def joined(number: re.Match[str]) -> str:
        if _MERE_COMMAS.fullmatch(number.group()) and _inside_brackets(text, number.start()):
            return number.group()
        return re.sub(r"[^0-9]", "", number.group())

    return _GROUPED.sub(joined, text)


def _inside_brackets(text: str, position: int) -> bool:
    before = text[:position]
    return any(before.count(opening) > before.count(closing) for opening, closing in ("()", "[]", ("\\{", "\\}")))


def plain_number(text: str) -> Fraction | None:
    """The exact value of an integer or decimal, thousands commas and currency sign allowed; None for all else."""
    text = without_separators(split_currency(bare(text))[0])
    if _SPACED.fullmatch(text):
        text = text.replace(" ", "")
    elif _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    if len(text) > _LONGEST or _DECIMAL.fullmatch(text) is None:
        return None
    return Fraction(text.replace(" ", ""))


def exact_number(text: str) -> Fraction | None:
    """`plain_number`, or a quotient of two integers."""
    quotient = _QUOTIENT.fullmatch(bare(text))
    if quotient is None or len(text) > _LONGEST:
        return plain_number(text)
    numerator, denominator = (int(part) for part in quotient.groups()[1:] if part is not None)
    if denominator == 0:
        return None
    return Fraction(-numerator if quotient[1] == "-" else numerator, denominator)
