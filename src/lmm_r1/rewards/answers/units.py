"""Units of measurement behind a value."""

from __future__ import annotations

import re
from fractions import Fraction

from lmm_r1.rewards.answers.amounts import ISO_CODES

_NAMES = {
    "mm": "millimeter millimetre",
    "cm": "centimeter centimetre",
    "dm": "decimeter decimetre",
    "m": "meter metre",
    "km": "kilometer kilometre",
    "in": "inch",
    "ft": "foot feet",
    "yd": "yard",
    "mi": "mile",
    "mg": "milligram",
    "g": "gram gm",
    "kg": "kilogram",
    "lb": "pound lbs",
    "oz": "ounce",
    "ml": "milliliter millilitre",
    "l": "liter litre",
    "gal": "gallon",
    "ms": "millisecond",
    "s": "second sec",
    "min": "minute mins",
    "h": "hour hr hrs",
    "day": "",
    "week": "",
    "month": "",
    "year": "yr yrs",
    "mph": "",
    "km/h": "kmh kmph",
    "m/s": "",
    "hz": "hertz",
    "kj": "kilojoule",
    "j": "joule",
    "n": "newton",
    "w": "watt",
    "kw": "kilowatt",
    "v": "volt",
    "k": "kelvin",
    "mol": "mole",
    "cent": "",
    "dollar": "",
    "euro": "eur",
    "yuan": "rmb cny",
    "yen": "jpy",
    "rupee": "inr rs",
    **dict.fromkeys(ISO_CODES, ""),
    "rad": "radian",
    "degree": "deg",
    "unit": "",
    "sq": "square",
    "cu": "cubic",
}
_SYMBOL = {alias: symbol for symbol, names in _NAMES.items() for alias in (symbol, *names.split())}
_SCALES = (
    {"mm": 1, "cm": 10, "dm": 100, "m": 1000, "km": 1_000_000},
    {"in": 1, "ft": 12, "yd": 36, "mi": 63_360},
    {"mg": 1, "g": 1000, "kg": 1_000_000},
    {"oz": 1, "lb": 16},
    {"ml": 1, "l": 1000},
    {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "day": 86_400_000, "week": 604_800_000},
    {"cent": 1, "dollar": 100, "usd": 100},
    {"j": 1, "kj": 1000},
    {"w": 1, "kw": 1000},
)
"""Units of one kind, by how many of the first they are."""
_ALIKE = {("dollar", code) for code in ("usd", "cad", "aud", "nzd", "hkd", "sgd")} | {
    ("lb", "gbp"),
    ("yen", "¥"),
    ("yuan", "¥"),
}
"""Names that may mean the same: "5 pounds" is £5 or 5 lb."""

_TEXT = re.compile(
    r"\s*\\(?:text|textnormal|textrm|textbf|textit|mathrm|mbox|operatorname)\s*\{(?P<text>[^{}]*)\}"
    r"\s*(?:\^\s*(?:\{\s*)?(?P<power>[0-9])\s*\}?)?\s*\.?$"
)
_BARE = re.compile(
    r"(?:(?<=[0-9})])|(?<=\\pi))(?P<gap>(?:\s|~|\\[ ,;:])*+)"
    r"(?P<text>(?:(?:sq|square|cu|cubic)\.?\s+)?[A-Za-z]+(?:/[A-Za-z]+)?)"
    r"\s*(?:\^\s*\{?(?P<power>[23])\}?)?\s*$"
)
_TRAILING_GAP = re.compile(r"(?:\s|~|\\[,;:!]|(?<!\\)\\(?:\s|$))+$")
_WEIGHT = re.compile(r"(?:[0-9]|[})]\s*|\\[dt]?frac\s*[0-9]\s*[0-9]\s*)(?:mg|gm)$")
_DEGREES = re.compile(r"\s*\^\s*(?:\\circ|\{\s*\\circ\s*\})\s*$")


def split_unit(text: str) -> tuple[str, str]:
    r"""The value and its unit, `""` where there is none: `5\text{ cm}`, `5 cm^2`, `5 km/h`.

    Whatever stands in a `\text{…}` behind a value is its unit. Bare letters are one only where the name is known, and
    a single letter only behind a gap: the m of `3m` is a variable, and so is that of `2\pi m` and `\frac{1}{2} m`,
    where LaTeX does not show the space.
    """
    if (worded := _TEXT.search(text)) is not None and text[: worded.start()].strip():
        return _TRAILING_GAP.sub("", text[: worded.start()]), _symbol(worded["text"], worded["power"])
    bare = _BARE.search(text)
    if bare is not None and (len(bare["text"]) > 1 or _stands_apart(bare)) and is_unit(bare["text"]):
        return text[: bare.start()].rstrip(), _symbol(bare["text"], bare["power"])
    return text, ""


def is_weight(text: str) -> bool:
    r"""Whether what could be milligrams is the weight of a mass: `2mg` and `\frac{1}{2} mg`, but not `2 mg`."""
    return _WEIGHT.search(text) is not None


def split_degrees(text: str) -> tuple[str, bool]:
    """The value without a degree sign behind it, and whether it had one."""
    value = _DEGREES.sub("", text)
    return (value, True) if value != text and value else (text, False)


def same_unit(expected: str, given: str) -> bool:
    """Whether two units may belong to the same value: either is left out, or they are the same."""
    return not expected or not given or expected == given or bool({(expected, given), (given, expected)} & _ALIKE)


def unit_ratio(expected: str, given: str) -> Fraction | None:
    """How many of the expected unit one of the given unit is: 1/10 for cm and mm; None for units of two kinds."""
    (expected, expected_power), (given, given_power) = _with_power(expected), _with_power(given)
    if expected_power != given_power:
        return None
    kind = next((kind for kind in _SCALES if expected in kind and given in kind), None)
    return Fraction(kind[given], kind[expected]) ** expected_power if kind else None


def is_unit(name: str) -> bool:
    """Whether the name is that of a known unit, `km` or `square meters`."""
    return all(_singular(word) in _SYMBOL for word in name.casefold().replace(".", "").split())


def _stands_apart(unit: re.Match[str]) -> bool:
    """Whether a reader sees a gap before the unit: a space of LaTeX's, or any behind a plain number."""
    value = unit.string[: unit.start()].rpartition("=")[2]
    return (
        "\\" in unit["gap"] or "~" in unit["gap"] or (unit["gap"] != "" and re.search(r"[A-Za-z\\{}()]", value) is None)
    )


def _with_power(symbol: str) -> tuple[str, int]:
    name, _, power = symbol.partition("^")
    return name, int(power or 1)


def _symbol(name: str, power: str | None) -> str:
    words = [_SYMBOL.get(_singular(word), _singular(word)) for word in name.casefold().replace(".", "").split()]
    dimension = {"sq": "2", "cu": "3"}.get(words[0]) if len(words) > 1 else None
    if dimension:
        words, power = words[1:], dimension
    return " ".join(words) + (f"^{power}" if power and words else "")


def _singular(word: str) -> str:
    for ending in ("es", "s"):
        if word not in _SYMBOL and word.endswith(ending) and word[: -len(ending)] in _SYMBOL:
            return word[: -len(ending)]
    return word if word in _SYMBOL else word.removesuffix("s")
