"""Ways of writing that math_verify misreads, put into LaTeX that it reads."""

from __future__ import annotations

import re

from lmm_r1.rewards.answers.bases import as_symbols
from lmm_r1.rewards.answers.mixed import without_mixed_numbers
from lmm_r1.rewards.answers.number import without_separators
from lmm_r1.rewards.answers.programs import with_latex_functions

_REPEATING = re.compile(r"([0-9]*)\.([0-9]*)(?:\\overline\s*\{([0-9]+)\}|\\(?:bar|dot)\s*\{?([0-9])\}?)")
_INTEGERS = r"\s*\{\s*[0-9]+\s*\}\s*\{\s*[0-9]+\s*\}"
_FACTOR = r"\\[dt]?(?:frac|binom)(?![a-z])"
_BRACKET = r"(?:\\left\s*)?\("
_JUXTAPOSED = re.compile(
    rf"{_FACTOR}{_INTEGERS}\s*(?={_FACTOR}|{_BRACKET}|[0-9])"
    rf"|(?:(?<![\w^_.])[0-9]+(?:\.[0-9]+)?|(?<![\^_])\([0-9.]+\))\s*(?={_BRACKET}|\\[dt]?binom)"
    rf"|\)\s*(?={_FACTOR}|[0-9])"
)
_ROOT_ARGUMENT = re.compile(
    r"(\\sqrt\s*(?:\[[^\[\]]*\])?)\s*(\\[dt]?frac\s*\{[^{}]*\}\s*\{[^{}]*\}|(?<=\])[0-9A-Za-z])"
)
_MINUTES = re.compile(
    r"([0-9]+)\s*\^\s*\{?\s*\\circ\s*\}?\s*([0-9]+)\s*(?:'(?!')|\^\s*\{?\s*\\prime\s*\}?)(?:\s*([0-9]+)\s*(?:''|\"))?"
)
_PRIMES = re.compile(r"(?<=[\w)}])\s?('{1,4})(?![\w'])")
_QUOTED = re.compile(r"(['\"])([^'\"]*)\1")
_CONNECTIVE = re.compile(
    r"[\s,]*\\(?:text|mathrm|textrm|mbox)\s*\{\s*,?\s*(?:and|or)\s*\}\s*|(?<![A-Za-z\\{])[\s,]*\b(?:and|or)\b\s*(?![}])"
    r"|(?<=[)\d])(?:and|or)(?=[(\dA-Z])"
)
_COLUMN = re.compile(r"\\begin\s*\{([pb]matrix)\}(?P<rows>[^&]+)\\end\s*\{\1\}")
_LEADING_EQUALS = re.compile(r"^=(?!=)\s*")
_CONSTANT = re.compile(r"(?<![A-Za-z\\])([A-Za-z])\([a-z]\)\s*=(?=[^A-Za-z=]*(?:,|$))")
_TRAILING_PERCENT = re.compile(
    r"\s*(?:\\text\s*\{)?\s*(?:\\?%|per\s?cent(?:age)?|pct)\s*\}?\s*$|\s*(?:\\text\s*\{)\s*\\?%\s*\}\s*$"
)


def cleaned(text: str) -> str:
    """The expression in plain LaTeX: program syntax, repeating decimals, mixed numbers, other bases, "and" and "or"."""
    text = without_separators(text).strip()
    if text.endswith("\\") and not text.endswith("\\\\"):
        text = text[:-1].rstrip()
    text = re.sub(r"\\\\(?=[a-zA-Z])", r"\\", text) if "matrix" not in text else text
    text = re.sub(r"\\(?:mathrm|operatorname)\s*\{\s*([ei])\s*\}", r"\1", text)
    text = re.sub(r"\\q?quad(?![a-z])|\\quad", " ", text)
    text = re.sub(r"(?:\\text\s*)?\{\s*-\s*\}|-(?:\\[,;:! ]|~)", "-", text)
    text = _ROOT_ARGUMENT.sub(r"\1{\2}", text)
    text = with_latex_functions(text.replace("\\fbox", "\\boxed")).replace("*", r"\cdot ")
    text = re.sub(r"(?<![\\A-Za-z])pi(?![A-Za-z])", r"\\pi ", text)
    text = _with_primes(text)
    text = _REPEATING.sub(_as_fraction, text)
    text = _CONNECTIVE.sub(", ", text)
    text = re.sub(r",(?:\s*,)+", ",", text)
    text = _CONSTANT.sub(r"\1=", text)
    text = without_mixed_numbers(text)
    # math_verify would read `2(3)`, `3\binom{5}{2}` and `\frac{4}{2}\frac{1}{3}` as mixed numbers: an integer and more.
    text = _JUXTAPOSED.sub(lambda factor: factor[0].rstrip() + r"\cdot ", text)
    text = as_symbols(text)
    text = _with_both_signs(text)
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


def _with_both_signs(text: str) -> str:
    r"""`\frac{1\pm i}{2}` as a list of two; math_verify knows the sign between terms alone."""
    if text.count(r"\pm") != 1 or text[: text.index(r"\pm")].count("{") == text[: text.index(r"\pm")].count("}"):
        return text
    return ", ".join(re.sub(r"\\pm(?![a-z])\s*", sign, text) for sign in "+-")


def _with_primes(text: str) -> str:
    r"""`f'(x)` as `f^{\prime}(x)` and `30^\circ15'` in degrees: math_verify would drop the quotes."""
    if "'" not in text and "prime" not in text:
        return text
    if (quoted := _QUOTED.fullmatch(text)) is not None:
        return quoted[2]
    text = _MINUTES.sub(_as_degrees, text)
    return _PRIMES.sub(lambda primes: "^{" + r"\prime " * len(primes[1]) + "}", text)


def _as_degrees(angle: re.Match[str]) -> str:
    degrees, minutes, seconds = (int(part or 0) for part in angle.groups())
    return rf"\frac{{{degrees * 3600 + minutes * 60 + seconds}}}{{3600}}^\circ "


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
