r"""Values of arithmetic: decimals, fractions, roots, powers and π, as people and LaTeX write them.

Exact (`Fraction`) as long as everything is rational, else a float of 16 digits. Linear in the length of the text, and
powers are bounded, so it needs no limits around it.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

from lmm_r1.rewards.answers.markup import bare
from lmm_r1.rewards.answers.mixed import without_mixed_numbers
from lmm_r1.rewards.answers.number import without_separators
from lmm_r1.rewards.answers.programs import with_latex_functions

Value = Fraction | float

_LONGEST = 128
_GREATEST_EXPONENT = 64
_TOKEN = re.compile(
    r"\s*(?:(?P<number>[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,3})?|\.[0-9]+(?:[eE][+-]?[0-9]{1,3})?)"
    r"|(?P<word>\\[dt]?frac|\\sqrt|sqrt|√|\\pi|pi|π|\\cdot|\\times|×|\\div|÷|\*\*)|(?P<sign>[-+*/^(){}\[\]]))"
)
_SAME = {"\\dfrac": "\\frac", "\\tfrac": "\\frac", "sqrt": "\\sqrt", "√": "\\sqrt", "pi": "\\pi", "π": "\\pi"} | {
    "\\cdot": "*",
    "\\times": "*",
    "×": "*",
    "\\div": "/",
    "÷": "/",
    "**": "^",
}


def arithmetic_value(text: str) -> Value | None:
    r"""The value of `2\sqrt{3}`, `\frac{\pi}{4}`, `1.2\times10^{-4}`, `sqrt(2)/2`; None for anything else.

    A decimal or a quotient of decimals gives a `Fraction`. What is infinite, complex or undefined has no value.
    """
    text = without_separators(bare(text))
    if not text or len(text) > _LONGEST:
        return None
    text = without_mixed_numbers(with_latex_functions(text))
    tokens = _tokens(re.sub(r"\\left|\\right|\\[,;!: ]|~", "", text))
    if tokens is None:
        return None
    reader = _Reader(tokens)
    try:
        value = reader.sum()
    except (_NoArithmeticError, ZeroDivisionError, OverflowError, ValueError):
        return None
    if reader.next is not None or not math.isfinite(value):
        return None
    return value


class _NoArithmeticError(Exception):
    """The text is no arithmetic."""


def _tokens(text: str) -> list[str] | None:
    tokens, position = [], 0
    while position < len(text.rstrip()):
        found = _TOKEN.match(text, position)
        if found is None:
            return None
        if found["number"] and tokens and tokens[-1][0] in "0123456789.":
            return None  # two numbers side by side are no product
        token = found["number"] or found["word"] or found["sign"]
        tokens.append(_SAME.get(token, token))
        position = found.end()
    return tokens


class _Reader:
    """Recursive descent over the tokens; a text of `_LONGEST` characters cannot nest deep."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.position = 0

    @property
    def next(self) -> str | None:
        return self.tokens[self.position] if self.position < len(self.tokens) else None

    def take(self, *wanted: str) -> str:
        token = self.next
        if token is None or (wanted and token not in wanted):
            raise _NoArithmeticError
        self.position += 1
        return token

    def sum(self) -> Value:
        value = self.product()
        while self.next in ("+", "-"):
            value = value + self.product() if self.take() == "+" else value - self.product()
        return value

    def product(self) -> Value:
        """Factors with a sign in front of the first: `-2\\pi/3`, `2\\sqrt{3}`; juxtaposition multiplies."""
        if self.next in ("+", "-"):
            return -self.product() if self.take() == "-" else self.product()
        value = self.power()
        while self.next is not None and self.next not in "+-)}]":
            if self.next == "/":
                self.take()
                value = value / self.power()
            else:
                if self.next == "*":
                    self.take()
                value = value * self.power()
        return value

    def power(self) -> Value:
        base = self.atom()
        if self.next != "^":
            return base
        self.take()
        exponent = self.signed_argument()
        if abs(exponent) > _GREATEST_EXPONENT or abs(base) > 10**_LONGEST:
            raise _NoArithmeticError
        if isinstance(base, Fraction) and isinstance(exponent, Fraction) and exponent.denominator == 1:
            return base**exponent.numerator
        return math.pow(base, exponent)

    def signed_argument(self) -> Value:
        if self.next == "-":
            self.take()
            return -self.atom()
        return self.atom()

    def atom(self) -> Value:
        token = self.take()
        if token == "\\pi":
            return math.pi
        if token == "\\frac":
            numerator = self.argument()
            return numerator / self.argument()
        if token == "\\sqrt":
            return self.root()
        if token in ("(", "{"):
            value = self.sum()
            self.take({"(": ")", "{": "}"}[token])
            return value
        if token[0] in "0123456789.":
            return Fraction(token)
        raise _NoArithmeticError

    def argument(self) -> Value:
        r"""What stands in braces, or one digit: `\frac12`, `\sqrt2`."""
        token = self.next
        if token is not None and token.isdigit() and len(token) > 1:
            self.tokens[self.position : self.position + 1] = list(token)
        return self.atom()

    def root(self) -> Value:
        degree = Fraction(2)
        if self.next == "[":
            self.take()
            degree = self.sum()
            self.take("]")
        radicand = self.argument()
        if not isinstance(degree, Fraction) or degree <= 0:
            raise _NoArithmeticError
        if radicand < 0 and degree.denominator == 1 and degree.numerator % 2:
            return -self.root_of(-radicand, degree)
        return self.root_of(radicand, degree)

    def root_of(self, radicand: Value, degree: Fraction) -> Value:
        root = math.pow(radicand, 1 / degree)
        nearest = Fraction(round(root))
        exact = isinstance(radicand, Fraction) and degree.denominator == 1 and abs(nearest) < 10**15
        return nearest if exact and nearest**degree.numerator == radicand else root
