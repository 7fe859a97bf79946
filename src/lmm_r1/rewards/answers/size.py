r"""How large an expression becomes when it is evaluated and expanded: digits, terms, degree.

Sizes add and multiply as expressions do; whatever grows beyond the limits raises `TooLargeError` at once.
"""

from __future__ import annotations

import math
from typing import NamedTuple

MOST_DIGITS = 50_000
"""Of all the numbers in an expression; `9999!` has 35,660."""
MOST_DIGITS_UNDER_A_ROOT = 400
"""Of a radicand: sympy looks for its factors."""
MOST_TERMS = 250
"""Of an expanded power of a sum; sympy needs a second for 400."""
MOST_TERMS_OF_NUMBERS = 1500
"""The same where the terms are numbers with roots: they are evaluated first."""
MOST_TERMS_OF_FUNCTIONS = 30
"""The same where the terms are sines and the like, which sympy rewrites."""
MOST_OF_A_QUOTIENT = 600
"""Terms above and below the line, times the letters in them."""
HIGHEST_DEGREE = 100_000
HIGHEST_DEGREE_OF_A_QUOTIENT = 500
"""Of one polynomial divided by another."""
MOST_FUNCTIONS_IN_A_PRODUCT = 4
"""Sines and the like: sympy tries every way to write the product as a sum."""
MOST_DIGITS_WITH_LETTERS = 8
"""Of an exponent with letters, where the base is a number: sympy moves the number out of the exponent."""
HIGHEST_POWERS_OF_LETTERS = 2
"""Powers with letters in the exponent, within one another."""
MOST_SUMMANDS = 1000
"""Of a sum or a product that is written with its bounds."""
CONSTANTS = {"\\pi": math.pi, "e": math.e}


class TooLargeError(Exception):
    """The expression, or a part of it, would be larger than the limits."""


class Size(NamedTuple):
    digits: float = 0.0
    """Of the exact numbers in it."""
    value: float | None = None
    """What it is worth, infinity where that is beyond a float; None where it has letters or is not worked out."""
    terms: float = 1.0
    """Above the line, when it is expanded."""
    below: float = 1.0
    """Below the line."""
    degree: float = 0.0
    letters: frozenset[str] = frozenset()
    """What it is a polynomial in: letters, and roots and functions as a whole."""
    height: int = 0
    """Of powers with letters in the exponent."""

    @property
    def functions(self) -> bool:
        return any(letter.startswith("function") for letter in self.letters)


def plus(one: Size, other: Size, sign: int) -> Size:
    known = one.value is not None and other.value is not None
    letters = one.letters | other.letters
    degree = one.degree + other.degree if one.below * other.below > 1 else max(one.degree, other.degree)
    above = one.terms * other.below + other.terms * one.below if letters else 1.0
    return _checked(
        Size(
            digits=one.digits + other.digits,
            value=one.value + sign * other.value if known else None,
            terms=_collected(above, degree, len(letters)),
            below=_collected(one.below * other.below, degree, len(letters)),
            degree=degree,
            letters=letters,
            height=max(one.height, other.height),
        )
    )


def times(one: Size, other: Size) -> Size:
    known = one.value is not None and other.value is not None
    letters, degree = one.letters | other.letters, one.degree + other.degree
    if letters > one.letters and sum(letter.startswith("function") for letter in letters) > MOST_FUNCTIONS_IN_A_PRODUCT:
        raise TooLargeError
    return _checked(
        Size(
            digits=one.digits + other.digits,
            value=one.value * other.value if known else None,
            terms=_collected(one.terms * other.terms, degree, len(letters)),
            below=_collected(one.below * other.below, degree, len(letters)),
            degree=degree,
            letters=letters,
            height=max(one.height, other.height),
        )
    )


def over(one: Size, other: Size) -> Size:
    value = None if other.value is None else 1 / other.value if other.value else math.inf
    return times(one, other._replace(terms=other.below, below=other.terms, value=value))


def power_of(base: Size, exponent: Size) -> Size:
    count = abs(exponent.value or 0.0)
    digits = base.digits * max(count, 1.0)
    if not digits <= MOST_DIGITS or (math.isinf(count) and base.letters):
        raise TooLargeError
    value = None if base.value is None else float_power(base.value, exponent.value)
    if count != int(count):
        return base._replace(digits=digits, value=value)
    terms, below = (_expanded(part, int(count), base) for part in (base.terms, base.below))
    if exponent.value < 0:
        terms, below = below, terms
    degree = base.degree * count
    terms, below = (_collected(part, degree, len(base.letters)) for part in (terms, below))
    return _checked(base._replace(digits=digits, value=value, terms=terms, below=below, degree=degree))


def _expanded(terms: float, power: int, base: Size) -> float:
    """Terms of the power of a sum, before like ones are collected."""
    if terms <= 1:
        return 1.0
    numbers = all(letter in CONSTANTS or letter.startswith("root ") for letter in base.letters)
    most = MOST_TERMS_OF_FUNCTIONS if base.functions else MOST_TERMS_OF_NUMBERS if numbers else MOST_TERMS
    if power > most or math.comb(power + int(terms) - 1, power) > most:
        raise TooLargeError
    return float(math.comb(power + int(terms) - 1, power))


def factorial(size: Size) -> Size:
    if size.value is None or size.value < 0:
        return size._replace(value=None)
    digits = math.lgamma(size.value + 1) / math.log(10) if size.value < MOST_DIGITS else math.inf
    if digits > MOST_DIGITS:
        raise TooLargeError
    return Size(digits=digits + 1, value=float_power(10.0, digits))


def binomial(upper: Size, lower: Size) -> Size:
    if upper.value is None or lower.value is None or upper.value < 0:
        return Size(digits=upper.digits + lower.digits, degree=1, letters=frozenset({"binomial"}))
    chosen = max(min(lower.value, upper.value - lower.value), 0.0)
    digits = chosen * math.log10(max(upper.value, 1.0)) if chosen < MOST_DIGITS else math.inf
    if digits > MOST_DIGITS:
        raise TooLargeError
    return Size(digits=digits + 1, value=float_power(10.0, digits))


def _collected(terms: float, degree: float, letters: int) -> float:
    """Terms at most, of a polynomial of that degree in so many letters."""
    if terms <= 1 or not letters or degree > MOST_DIGITS:
        return terms if letters else 1.0
    return float(min(terms, math.comb(int(degree) + letters, letters)))


def _checked(size: Size) -> Size:
    quotient = size.below > 1
    numbers = all(letter in CONSTANTS or letter.startswith("root ") for letter in size.letters)
    if (
        size.digits > MOST_DIGITS
        or size.degree > HIGHEST_DEGREE
        or max(size.terms, size.below) > (MOST_TERMS_OF_NUMBERS if numbers else MOST_TERMS)
        or (quotient and (size.terms + size.below) * len(size.letters) > MOST_OF_A_QUOTIENT)
        or (quotient and size.degree > HIGHEST_DEGREE_OF_A_QUOTIENT)
    ):
        raise TooLargeError
    return size


def float_power(base: float, exponent: float) -> float | None:
    try:
        value = math.pow(base, exponent)
    except OverflowError:
        return math.inf
    except ValueError:
        return None
    return value
