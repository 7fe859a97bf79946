"""Ways of writing that math_verify misreads, put into LaTeX that it reads."""

from __future__ import annotations

import re

from lmm_r1.rewards.answers.number import without_separators

_SYMBOLS = str.maketrans(
    {
        "π": r"\pi ",
        "∞": r"\infty ",
        "×": r"\times ",
        "÷": "/",
        "·": r"\cdot ",
        "≤": r"\le ",
        "≥": r"\ge ",
        "≠": r"\ne ",
        "≈": r"\approx ",
        "∈": r"\in ",
        "∪": r"\cup ",
        "²": "^2",
        "³": "^3",
        "°": r"^\circ",
        "％": r"\%",
    }
)
_REPEATING = re.compile(r"([0-9]*)\.([0-9]*)(?:\\overline\s*\{([0-9]+)\}|\\(?:bar|dot)\s*\{?([0-9])\}?)")
_MIXED_NUMBER = re.compile(r"([+-]?[0-9]+)\s+([0-9]+)\s*/\s*([0-9]+)")
_CONNECTIVE = re.compile(
    r"[\s,]*\\(?:text|mathrm|textrm|mbox)\s*\{\s*,?\s*(?:and|or)\s*\}\s*|(?<![A-Za-z\\{])[\s,]*\b(?:and|or)\b\s*(?![}])"
    r"|(?<=[)\d])(?:and|or)(?=[(\dA-Z])"
)
_COLUMN = re.compile(r"\\begin\s*\{([pb]matrix)\}(?P<rows>[^&]+)\\end\s*\{\1\}")
_LEADING_EQUALS = re.compile(r"^=(?!=)\s*")
_CONSTANT = re.compile(r"(?<![A-Za-z\\])([A-Za-z])\([a-z]\)\s*=(?=[^A-Za-z=]*(?:,|$))")
_TRAILING_PERCENT = re.compile(
    r"\s*(?:\\text\s*\{)?\s*(?:\\?%|percent(?:age)?|pct)\s*\}?\s*$|\s*(?:\\text\s*\{)\s*\\?%\s*\}\s*$"
)


def cleaned(text: str) -> str:
    """The expression in plain LaTeX: thin spaces, symbols, repeating decimals, mixed numbers, "and" and "or"."""
    text = without_separators(text).translate(_SYMBOLS).strip()
    if text.endswith("\\") and not text.endswith("\\\\"):
        text = text[:-1].rstrip()
    text = re.sub(r"\\\\(?=[a-zA-Z])", r"\\", text) if "matrix" not in text else text
    text = re.sub(r"\\mathrm\s*\{\s*e\s*\}", "e", text)
    text = re.sub(r"\\q?quad(?![a-z])|\\quad", " ", text)
    text = text.replace("\\fbox", "\\boxed").replace("**", "^").replace("*", r"\cdot ")
    text = re.sub(r"√\s*(\d+|\w)", r"\\sqrt{\1}", text)
    text = re.sub(r"(?<![\\A-Za-z])pi(?![A-Za-z])", r"\\pi ", text)
    text = re.sub(r"(?<![\\A-Za-z])sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}", text)
    text = _REPEATING.sub(_as_fraction, text)
    text = _CONNECTIVE.sub(", ", text)
    text = re.sub(r",(?:\s*,)+", ",", text)
    text = _CONSTANT.sub(r"\1=", text)
    if (mixed := _MIXED_NUMBER.fullmatch(text.strip())) is not None:
        text = rf"{mixed[1]}\frac{{{mixed[2]}}}{{{mixed[3]}}}"
    # "Area $=9.4$" states 9.4.
    return _LEADING_EQUALS.sub("", _before_approximation(text).strip())


def without_percent(text: str) -> tuple[str, bool]:
    """The text without a percent sign at its end, and whether it had one."""
    value = _TRAILING_PERCENT.sub("", text)
    return (value, True) if value != text and value else (text, False)


def column_as_tuple(text: str) -> str:
    r"""A column vector as the point it leads to, `(1,2)`; anything else as it is."""
    column = _COLUMN.fullmatch(text)
    if column is None:
        return text
    rows = column["rows"].strip().removesuffix("\\\\").split("\\\\")
    return f"({','.join(rows)})"


def semicolons_as_commas(text: str) -> str:
    """A list of solutions, `p=5, q=2; p=7, q=2`, with one kind of separator; inside brackets they may mean more."""
    if ";" not in text:
        return text
    depth, pieces = 0, []
    for index, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        separates = character == ";" and depth == 0 and text[index - 1 : index] != "\\"
        pieces.append("," if separates else character)
    return "".join(pieces)


def _before_approximation(text: str) -> str:
    r"""`\frac13 \approx 0.333` states a third; the approximation adds nothing."""
    exact, found, value = text.partition(r"\approx")
    if not found or not exact.strip():
        return text
    return exact if re.search(r"[0-9=]|\\(?:pi|sqrt|frac)", exact) else f"{exact}={value}"


def _as_fraction(repeating: re.Match[str]) -> str:
    r"""`0.1\overline{6}` is (16 - 1) / 90."""
    whole, start, period, digit = repeating.groups()
    period = period or digit
    numerator = int(whole + start + period) - int((whole + start) or "0")
    return rf"\frac{{{numerator}}}{{{(10 ** len(period) - 1) * 10 ** len(start)}}}"
