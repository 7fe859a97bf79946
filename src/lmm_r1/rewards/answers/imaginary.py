r"""Complex numbers: where `i` is the imaginary unit, `\frac{1}{2-i}` is `\frac{2+i}{5}`.

math_verify reads `i` as a variable, which is right where it counts terms: `i` is left one where it stands in an index
or under a sum, and where the gold has a power of it.
"""

from __future__ import annotations

import re

_INDEX = re.compile(r"_\s*\{?[^{}\s]*i|(?<![A-Za-z\\])i\s*(?:=|<|>|\\(?:in|le|lt|ge|gt|to)(?![a-z])|!)")
_UNIT = re.compile(r"(?<![A-Za-z\\])i|i(?![A-Za-z])")


def with_imaginary_unit(texts: tuple[str, str], parsed: tuple[object, object]) -> tuple[object, object] | None:
    """Gold and answer as sympy has them, with the imaginary unit for `i`; None where it is a variable or not there."""
    if not any(map(_UNIT.search, texts)) or any("I" in text or _INDEX.search(text) for text in texts):
        return None
    from sympy import Basic

    expected, given = parsed
    if not (isinstance(expected, Basic) and isinstance(given, Basic)):
        return None
    if _has_unit(expected):
        meant = _is_linear(expected)
    else:
        meant = not expected.free_symbols and {symbol.name for symbol in given.free_symbols} == {"i"}
    return (_replaced(expected), _replaced(given)) if meant else None


def _has_unit(expression: object) -> bool:
    return any(symbol.name == "i" for symbol in expression.free_symbols)


def _is_linear(expression: object) -> bool:
    """Whether there is no square or higher power of `i` above or below the line."""
    from sympy import Expr, degree

    if not isinstance(expression, Expr):
        return all(_is_linear(part) for part in expression.args)
    unit = next((symbol for symbol in expression.free_symbols if symbol.name == "i"), None)
    if unit is None:
        return True
    above_and_below = expression.together().as_numer_denom()
    return all(not part.is_polynomial(unit) or degree(part, unit) <= 1 for part in above_and_below)


def _replaced(expression: object) -> object:
    """All letters but `i` real, as math_verify takes them elsewhere."""
    from sympy import I, Symbol

    letters = {
        symbol: I if symbol.name == "i" else Symbol(symbol.name, real=True) for symbol in expression.free_symbols
    }
    return expression.xreplace(letters).doit()
