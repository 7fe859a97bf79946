r"""Numbers in another base: `204_5`, `(204)_{\text{five}}`, "204 base 5", `0x1F`.

The base is part of such a number: `204_6`, `204` and the 54 that it is worth are other answers. What 54 is in base 5,
or 204_5 in base ten, is what questions ask; whoever repeats the question has not answered it. Base ten may be left out.
"""

from __future__ import annotations

import re
import string
from fractions import Fraction

_NAMES = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_NAMED = {name: str(number) for number, name in enumerate(_NAMES, 2)} | {"sixteen": "16"}
_WORD = "|".join(sorted(_NAMED, key=len, reverse=True))
_TEXT = r"\\(?:text|textrm|textbf|mathrm|mathbf|mbox)\s*"
_NUMERAL_IN_TEXT = re.compile(rf"{_TEXT}\{{\s*([0-9A-Z.]+)\s*\}}(?=\s*_)")
_BASE_IN_TEXT = re.compile(rf"{_TEXT}\{{([^{{}}]*\bbase\b[^{{}}]*)\}}")
_INDEX_IN_TEXT = re.compile(rf"_\s*\{{?\s*{_TEXT}\{{\s*\(?\s*([0-9A-Za-z]+)\s*\)?\s*\}}\s*\}}?")
_DIGITS = string.digits + string.ascii_uppercase
_NUMERAL = r"(?P<digits>(?=[A-Z]{0,8}[0-9])[0-9A-Z]++(?:\.[0-9A-Z]++)?|[0-9][0-9a-f]*+)"
_START = r"(?:(?<![\w.^\\])|(?<=\\cdot)|(?<=\\times))"
_BASE = rf"(?:base[\s~-]*)?\(?\s*(?P<base>[0-9]{{1,3}}|{_WORD}|[A-Za-z])\s*\)?"
_INDEXED = re.compile(
    rf"{_START}(?P<open>[({{]\s*)?{_NUMERAL}(?(open)\s*[)}}])\s*_\s*"
    rf"(?:\{{\s*{_BASE}\s*\}}|(?P<bare>[0-9]{{1,2}}(?![0-9])|[A-Za-z](?![A-Za-z])))"
)
_SPELT = re.compile(
    rf"{_START}(?P<open>\(\s*)?{_NUMERAL}(?(open)\s*\))(?:\\?[\s,~])*\(?\s*(?<!\w)(?:in\s+)?base[\s~-]*"
    rf"(?P<base>[0-9]{{1,2}}|{_WORD})\b(?:\s*\))?"
)
_LITERAL = re.compile(r"(?<![\w.\\])0(?:[xX](?P<x>[0-9a-fA-F]+)|[bB](?P<b>[01]+)|[oO](?P<o>[0-7]+))(?!\w)")
_RADIX = {"x": "16", "b": "2", "o": "8"}
_SEPARATED = re.compile(r"(?<![\w.])[1-9][0-9]{0,2}(?:_[0-9]{3})+(?!\w)")
_CANONICAL = re.compile(rf"{_START}(?P<digits>(?=[A-Z]{{0,8}}[0-9])[0-9A-Z.]++)_\{{(?P<base>[0-9A-Za-z]+)\}}")


def with_bases(text: str) -> str:
    r"""The text with each number in another base as `204_{5}`, and those in base ten as plain numbers."""
    text = _LITERAL.sub(lambda number: _canonical(number[number.lastgroup].upper(), _RADIX[number.lastgroup]), text)
    if "base" in text:
        text = _SPELT.sub(_written, _BASE_IN_TEXT.sub(r" \1", text))
    if "_" not in text:
        return text
    text = _SEPARATED.sub(lambda number: number[0].replace("_", ""), text)
    text = _INDEX_IN_TEXT.sub(r"_{\1}", _NUMERAL_IN_TEXT.sub(r"\1", text))
    return _INDEXED.sub(_written, text)


def as_symbols(text: str) -> str:
    r"""The text of `with_bases` with each number in another base as a symbol of its own, which algebra leaves alone."""
    return _CANONICAL.sub(_symbol, text) if "_{" in text else text


def value_and_base(text: str) -> tuple[Fraction, int] | None:
    """What one number in another base is worth, and that base; None for all else, base ten too."""
    number = _CANONICAL.fullmatch(text.removeprefix("-"))
    if number is None or not number["base"].isdigit():
        return None
    base, digits = int(number["base"]), number["digits"]
    if not 2 <= base <= len(_DIGITS) or not digits.isalnum() or max(map(_DIGITS.index, digits)) >= base:
        return None
    value = Fraction(int(digits, base))
    return (-value if text.startswith("-") else value), base


def _written(number: re.Match[str]) -> str:
    groups = number.groupdict()
    base = groups["base"] or groups["bare"]
    base, digits = _NAMED.get(base, base), groups["digits"]
    if base == "16":
        digits = digits.upper()
    return _canonical(digits, base)


def _is_numeral(digits: str, base: str) -> bool:
    """Whether the digits are decimal, or all smaller than the base: `2A_1` is twice A_1."""
    digits = digits.replace(".", "")
    return digits.isdigit() or (base.isdigit() and all(digit in _DIGITS[: int(base)] for digit in digits))


def _canonical(digits: str, base: str) -> str:
    digits = digits.lstrip("0") or "0"
    return digits if base == "10" else f"{digits}_{{{base}}}"


def _symbol(number: re.Match[str]) -> str:
    if not _is_numeral(number["digits"], number["base"]):
        return number[0]
    code = int.from_bytes(f"{number['digits']} {number['base']}".encode(), "big")
    return rf"\xi_{{{code}}}"
