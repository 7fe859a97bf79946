r"""Roots of letters: `\sqrt{\frac{1}{k}}` and `\frac{1}{\sqrt{k}}` are equal wherever both are real.

sympy's roots are complex, so it tells the two apart; a problem about real numbers does not. `\sqrt{x^2}` is not x,
which has other real values.
"""

from __future__ import annotations

import random
from functools import cache

_POINTS = 96
_LEAST_COMMON = 8
"""At how many points both must be real."""
_DIGITS = 60
_RELATIVE_ERROR = 1e-40
_MOST_LETTERS = 6


def equal_as_reals(expected: object, given: object) -> bool:
    """Whether two expressions with roots have the same real values, at random points where both have one.

    The points are the same in every run. Where there is a logarithm, both must be real at the same points.
    """
    from sympy import Expr, log

    if not (isinstance(expected, Expr) and isinstance(given, Expr)) or not (_has_root(expected) or _has_root(given)):
        return False
    letters = sorted({symbol.name for symbol in expected.free_symbols})
    if letters != sorted({symbol.name for symbol in given.free_symbols}) or len(letters) > _MOST_LETTERS:
        return False
    strict = expected.has(log) or given.has(log)
    common = 0
    for values in _points(len(letters)):
        point = dict(zip(letters, values, strict=True))
        first, second = _value(expected, point), _value(given, point)
        if first is None or second is None:
            if strict and first is not second:
                return False
            continue
        if abs(first - second) > _RELATIVE_ERROR * max(abs(first), abs(second)):
            return False
        common += 1
    return common >= (_LEAST_COMMON if letters else 1)


def _has_root(expression: object) -> bool:
    """Whether there is a root of letters, or an odd root of a negative number."""
    from sympy import Pow

    return any(
        power.exp.is_Rational and not power.exp.is_Integer and (power.base.free_symbols or power.base.is_negative)
        for power in expression.atoms(Pow)
    )


@cache
def _points(letters: int) -> list[tuple[float, ...]]:
    """Of both signs and many sizes; the first third has positive values alone."""
    generator = random.Random(letters)

    def value(positive: bool) -> float:
        size = 10 ** generator.uniform(-1, 2.5)
        return size if positive else size * generator.choice((-1, 1))

    return [tuple(value(3 * number < _POINTS) for _ in range(letters)) for number in range(_POINTS if letters else 1)]


def _value(expression: object, point: dict[str, float]) -> object | None:
    """The real value of an expression, None where it or a part of it has none."""
    import mpmath

    with mpmath.workdps(_DIGITS):
        try:
            return _real(expression, point)
        except (_NotRealError, ZeroDivisionError, OverflowError, ValueError):
            return None


class _NotRealError(Exception):
    """There is no real value."""


def _real(expression: object, point: dict[str, float]) -> object:
    import mpmath

    if expression.is_Symbol:
        return mpmath.mpf(point[expression.name])
    if expression.is_Rational:
        return mpmath.mpf(expression.p) / expression.q
    if expression.is_Float:
        return mpmath.mpf(str(expression))
    if expression.is_number and not expression.args:
        return _finite(mpmath.mpmathify(expression.evalf(_DIGITS)))
    arguments = [_real(argument, point) for argument in expression.args]
    if expression.is_Add:
        return mpmath.fsum(arguments)
    if expression.is_Mul:
        return mpmath.fprod(arguments)
    if expression.is_Pow:
        return _power(*arguments, expression.exp)
    function = {
        "exp": mpmath.exp,
        "sin": mpmath.sin,
        "cos": mpmath.cos,
        "tan": mpmath.tan,
        "Abs": abs,
        "log": mpmath.log,
    }
    if expression.func.__name__ not in function or (expression.func.__name__ == "log" and min(arguments) <= 0):
        raise _NotRealError
    return _finite(function[expression.func.__name__](*arguments))


def _power(base: object, exponent: object, written: object) -> object:
    import mpmath

    if base < 0 and not written.is_Integer:
        if not written.is_Rational or written.q % 2 == 0:
            raise _NotRealError
        return -(mpmath.power(-base, exponent)) if written.p % 2 else mpmath.power(-base, exponent)
    return _finite(mpmath.power(base, exponent))


def _finite(value: object) -> object:
    import mpmath

    if not isinstance(value, mpmath.mpf) or not mpmath.isfinite(value):
        raise _NotRealError
    return value
