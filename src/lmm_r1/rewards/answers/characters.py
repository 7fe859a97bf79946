"""Characters that stand for ASCII ones: digits of every script, dashes, full-width forms, mathematical alphabets."""

from __future__ import annotations

import unicodedata

_DASHES = "‐‑‒–—―⁃−﹘﹣－"
_RANGES = ((0x0080, 0x2460), (0xA000, 0xAC00))
"""Where Unicode has decimal digits and Roman numerals, except for Chinese characters, Korean syllables and the rare
scripts beyond U+FFFF.
"""


def _table() -> dict[int, str]:
    table = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)} | {
        0x3000: " ",
        0x066A: "%",
        0x066B: ".",
        0x066C: ",",
    }
    for first, last in _RANGES:
        for code in range(first, last):
            character = chr(code)
            if (digit := unicodedata.decimal(character, None)) is not None:
                table[code] = str(digit)
            elif unicodedata.name(character, "").startswith(("ROMAN NUMERAL", "SMALL ROMAN NUMERAL")):
                table[code] = unicodedata.normalize("NFKC", character)
    # Mathematical alphabets, and small forms such as the plus sign U+FE62.
    for character in map(chr, (*range(0x1D400, 0x1D800), *range(0xFE50, 0xFE6C))):
        table[ord(character)] = unicodedata.normalize("NFKC", character)
    return table | dict.fromkeys(map(ord, _DASHES), "-")


_ASCII = _table()


def with_ascii(text: str) -> str:
    """The text with ASCII in place of `５`, `٥`, `–`, `Ⅳ` and `𝑥`; all else, powers and fractions too, as it is."""
    return text if text.isascii() else text.translate(_ASCII)
