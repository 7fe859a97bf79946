"""Powers, indices, fractions, roots and symbols that Unicode has characters for, put into LaTeX."""

from __future__ import annotations

import re
import unicodedata

_SYMBOLS = {
    "∞": r"\infty ",
    "×": r"\times ",
    "÷": "/",
    "∕": "/",
    "⁄": "/",
    "·": r"\cdot ",
    "⋅": r"\cdot ",
    "∙": r"\cdot ",
    "∗": "*",
    "±": r"\pm ",
    "∓": r"\mp ",
    "≤": r"\le ",
    "⩽": r"\le ",
    "≥": r"\ge ",
    "⩾": r"\ge ",
    "≠": r"\ne ",
    "≈": r"\approx ",
    "∈": r"\in ",
    "∪": r"\cup ",
    "∩": r"\cap ",
    "∅": r"\emptyset ",
    "ℝ": r"\mathbb{R}",
    "ℤ": r"\mathbb{Z}",
    "ℕ": r"\mathbb{N}",
    "ℚ": r"\mathbb{Q}",
    "ℂ": r"\mathbb{C}",
    "⌊": r"\lfloor ",
    "⌋": r"\rfloor ",
    "⌈": r"\lceil ",
    "⌉": r"\rceil ",
    "∶": ":",
    "°": r"^\circ",
    "º": r"^\circ",
    "˚": r"^\circ",
    "′": "'",
    "″": "''",
    "‴": "'''",
    "’": "'",
    "％": r"\%",
    "\u2061": "",  # function application
    "\u2062": "",  # invisible times
    "µ": r"\mu ",
    "ϕ": r"\phi ",
    "ϵ": r"\epsilon ",
    "ϑ": r"\theta ",
}
_GREEK = {
    chr(code): unicodedata.name(chr(code)).rpartition(" ")[2].lower().replace("lamda", "lambda")
    for code in (*range(0x3B1, 0x3C2), *range(0x3C3, 0x3CA))
} | {"Γ": "Gamma", "Δ": "Delta", "Θ": "Theta", "Λ": "Lambda", "Σ": "Sigma", "Φ": "Phi", "Ψ": "Psi", "Ω": "Omega"}
_TABLE = str.maketrans(_SYMBOLS | {letter: f"\\{name} " for letter, name in _GREEK.items()} | {"ο": "o"})


def _raised_or_lowered(kind: str) -> dict[str, str]:
    """The characters that Unicode derives from a plain one by raising or lowering it."""
    codes = (
        0xAA,
        0xB2,
        0xB3,
        0xB9,
        *range(0x2B0, 0x2B9),
        *range(0x2E0, 0x2E5),
        *range(0x2070, 0x209D),
        *range(0x1D2C, 0x1D6B),
        0x2C7C,
    )
    parts = {chr(code): unicodedata.decomposition(chr(code)).split() for code in codes}
    return {
        character: chr(int(part[1], 16)).replace("−", "-")
        for character, part in parts.items()
        if part[:1] == [kind] and len(part) == 2
    }


_RAISED, _LOWERED = _raised_or_lowered("<super>"), _raised_or_lowered("<sub>")
_UP, _DOWN = "".join(_RAISED), "".join(_LOWERED)
_PLAIN = str.maketrans(_RAISED | _LOWERED)
_FRACTIONS = "".join(map(chr, (*range(0xBC, 0xBF), *range(0x2150, 0x215F), 0x2189)))
_WRITTEN_FRACTION = re.compile(
    rf"([{_FRACTIONS}])|([{_UP}]+)[⁄∕/]([{_DOWN}]+)|(?<![√\w.])([0-9]+)⁄([0-9]+)|⅟(?:([0-9]+)|([{_DOWN}]+))"
)
_INDEXED_ROOT = re.compile(rf"(?<![\w)}}\]{_UP}])([{_UP}]+)√")
_SIGN = re.compile(rf"(?<![\w)}}\]{_UP}])([⁺⁻])(?![{_UP}])")
_POWER, _INDEX = re.compile(rf"[{_UP}]+"), re.compile(rf"[{_DOWN}]+")
_ROOT = re.compile(r"√\s*(?:([0-9]+(?:\.[0-9]+)?|[^\W\d_])|)")


def in_latex(text: str) -> str:
    r"""The text with `2¹⁰` as `2^{10}`, `2½` as `2\frac{1}{2}`, `x₁` as `x_{1}`, `³√5` as `\sqrt[3]{5}`, and so on.

    A number in a circle or in brackets is a number where it stands alone.
    """
    if text.isascii():
        return text
    if "①" <= text <= "⒛" and len(text) == 1:
        return unicodedata.normalize("NFKC", text)
    text = _WRITTEN_FRACTION.sub(_fraction, text)
    text = _INDEXED_ROOT.sub(lambda root: rf"\sqrt[{root[1].translate(_PLAIN)}]√", text)
    text = _SIGN.sub(lambda sign: sign[1].translate(_PLAIN), text)
    text = _POWER.sub(lambda power: f"^{{{power[0].translate(_PLAIN)}}}", text)
    text = _INDEX.sub(lambda index: f"_{{{index[0].translate(_PLAIN)}}}", text)
    text = text.replace("∛", r"\sqrt[3]√").replace("∜", r"\sqrt[4]√")
    text = _ROOT.sub(lambda root: rf"\sqrt{{{root[1]}}}" if root[1] else r"\sqrt", text)
    return re.sub(r"(\\sqrt\[[0-9]+\])\\sqrt", r"\1", text).translate(_TABLE)


def _fraction(written: re.Match[str]) -> str:
    character, *parts = written.groups()
    if character:
        numerator, _, denominator = unicodedata.normalize("NFKC", character).partition("⁄")
    else:
        numerator, denominator = [part for part in ("1", *parts) if part][-2:]
    return rf"\frac{{{numerator.translate(_PLAIN)}}}{{{denominator.translate(_PLAIN)}}}"
