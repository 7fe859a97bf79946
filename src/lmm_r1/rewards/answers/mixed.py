r"""Mixed numbers: `3\frac14` and "3 1/4" are 13/4, while `2\frac{x}{y}` and `3\cdot\frac14` are products."""

from __future__ import annotations

import re

_GAP = r"(?:\s|~|\\[ ,;:!])"
_INTEGER = r"[0-9]{1,9}"
_ARGUMENT = rf"\s*(?:\{{\s*({_INTEGER})\s*\}}|([0-9]))"
_MIXED = re.compile(
    rf"(?<![\w.^_)}}\]])(?<![0-9.]\s)(?<!\\sqrt\s)(?<!frac\s)(?:({_INTEGER})|\{{({_INTEGER})\}})"
    rf"(?:{_GAP}*+(?P<brace>\{{)?(?P<command>\\[dt]?frac){_ARGUMENT}{_ARGUMENT}(?(brace)\s*\}})"
    rf"|{_GAP}++({_INTEGER})\s*/\s*({_INTEGER}))(?!\s*[0-9.^!/])"
)


def without_mixed_numbers(text: str) -> str:
    r"""The text with each mixed number as one fraction: `3\frac{1}{4}` is `\frac{13}{4}`.

    The fraction of a mixed number is between 0 and 1, and no other factor stands directly before the whole part; an
    improper fraction is a factor.
    """
    return _MIXED.sub(_as_fraction, text)


def _as_fraction(mixed: re.Match[str]) -> str:
    whole, numerator, denominator = (int(part) for part in mixed.groups() if part and part.isdigit())
    if 0 < numerator < denominator:
        return rf"\frac{{{whole * denominator + numerator}}}{{{denominator}}}"
    return rf"{whole}\cdot\frac{{{numerator}}}{{{denominator}}}" if mixed["command"] else mixed[0]
