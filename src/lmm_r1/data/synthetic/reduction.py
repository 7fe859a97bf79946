"""Sums and differences worked out by rewriting: 3 + 4 - 2 = 7 - 2 = 5."""

from __future__ import annotations

from collections.abc import Sequence


def reduction(numbers: Sequence[int], signs: Sequence[str]) -> str:
    """The expression, then itself with its first two numbers put together, until one number is left.

    Each step repeats what is left of the expression. A small model then never has to keep count of how far it is:
    copying and one sum at a time are all it has to learn.

    Args:
        signs: `"+"` or `"-"` between each two numbers.

    >>> reduction([3, 4, 2], "+-")
    '3 + 4 - 2 = 7 - 2 = 5'
    """
    values, signs = list(numbers), list(signs)
    written = [expression(values, signs)]
    while signs:
        first, second, *rest = values
        sign, *signs = signs
        values = [first + second if sign == "+" else first - second, *rest]
        written.append(expression(values, signs))
    return " = ".join(written)


def expression(numbers: Sequence[int], signs: Sequence[str]) -> str:
    """`3 + 4 - 2`."""
    rest = zip(signs, numbers[1:], strict=True)
    return " ".join([str(numbers[0]), *(f"{sign} {number}" for sign, number in rest)])
