r"""Functions as programs and calculators write them, put into LaTeX: `4*exp(-2*t)` is `4\cdot e^{-2\cdot t}`."""

from __future__ import annotations

import re
from fractions import Fraction

from lmm_r1.rewards.answers.brackets import elements

UNCLEAR_LOGARITHM = r"\operatorname{log}"
"""`log` without a base or a backslash: the natural logarithm in most programs, that of base ten elsewhere."""

_SAME = ("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan", "ln")
_BEFORE = {name: f"\\{name}" for name in _SAME} | {f"a{name}": rf"\arc{name}" for name in ("sin", "cos", "tan")}
_BEFORE |= {"log": UNCLEAR_LOGARITHM, "lg": r"\log_{10}", "log10": r"\log_{10}", "log2": r"\log_{2}"}
"""What LaTeX writes before an argument."""

_AROUND = {
    "exp": "e^{{{}}}",
    "sqrt": r"\sqrt{{{}}}",
    "cbrt": r"\sqrt[3]{{{}}}",
    "abs": r"\left|{}\right|",
    "Abs": r"\left|{}\right|",
    "fabs": r"\left|{}\right|",
    "floor": r"\lfloor {}\rfloor ",
    "ceil": r"\lceil {}\rceil ",
    "ceiling": r"\lceil {}\rceil ",
    "factorial": r"\left({}\right)!",
    "^": "^{{{}}}",
}
"""What LaTeX writes around an argument."""

_OF_TWO = {
    "log": r"\log_{{{1}}}({0})",
    "pow": "({0})^{{{1}}}",
    "binomial": r"\binom{{{0}}}{{{1}}}",
    "comb": r"\binom{{{0}}}{{{1}}}",
    "Rational": r"\frac{{{0}}}{{{1}}}",
    "root": r"\sqrt[{1}]{{{0}}}",
}
GREEK = "alpha|beta|gamma|delta|epsilon|theta|lambda|mu|phi|psi|omega|sigma|rho|tau"
FUNCTIONS = "|".join(sorted({*_BEFORE, *_AROUND, *_OF_TWO} - {"^"}, key=len, reverse=True))
_MODULE = re.compile(r"(?<![\\A-Za-z])(?:np|numpy|math|sympy|sp)\.(?=[a-zA-Z]+\d*\()")
_IN_TEXT = re.compile(rf"\\(?:operatorname|mathrm|text|textrm)\s*\{{\s*({FUNCTIONS})\s*\}}(?=\s*[\^(\\0-9a-z])")
_CALL = re.compile(
    rf"(?<![\\A-Za-z])(?P<name>{'|'.join(sorted({*_AROUND, *_OF_TWO} - {'^'}, key=len, reverse=True))})\s?\("
    r"|\\?sqrt\s*(?P<degree>\[[^\[\]()]*\])\s*\(|\\sqrt\s*\(|(?P<power>\^)\s*\("
)
_NAME = re.compile(
    rf"(?<![\\A-Za-z])({'|'.join(sorted(_BEFORE, key=len, reverse=True))})"
    r"(?=\(|\s*[\^\\|]|(?<=sin|cos|tan|log)\s?[0-9(]|(?<=ln)\s?[0-9(]|\s?[A-Za-z](?![A-Za-z]))"
)
_LETTER = re.compile(rf"(?<![\\A-Za-z{{])({GREEK})(?![A-Za-z}}])")
_BASE = re.compile(r"(?<![\\A-Za-z])log(?=\s?_)")
_EXPONENT = re.compile(
    r"\^\s*(?:\{\s*([+-]?[0-9]{0,9}\.[0-9]{1,9})\s*\}|([+-]?[0-9]{0,9}\.[0-9]{1,9}|[+-][0-9]+)(?![0-9]))"
)
_INFINITY = re.compile(r"(?<![\\A-Za-z0-9])oo(?![A-Za-z0-9])")


def with_latex_functions(text: str) -> str:
    r"""The expression with `sqrt(x)` as `\sqrt{x}`, `x**(n+1)` as `x^{n+1}`, `sin x` as `\sin x`, and so on."""
    text = _EXPONENT.sub(_exponent, text.replace("**", "^"))
    if re.search(r"[A-Za-z]{2}|\^\s*\(", text) is None:
        return text
    text = _IN_TEXT.sub(r"\1", _MODULE.sub("", text))
    text = _BASE.sub(r"\\log", _without_calls(text))
    text = _NAME.sub(lambda name: _BEFORE[name[1]] + " ", text)
    return _INFINITY.sub(r"\\infty ", text if _LETTER.fullmatch(text) else _LETTER.sub(r"\\\1 ", text))


def _exponent(exponent: re.Match[str]) -> str:
    """In braces, and exact: sympy's decimals are rounded."""
    value = Fraction(exponent[1] or exponent[2])
    sign = "-" if value < 0 else ""
    whole = value.denominator == 1
    return f"^{{{value}}}" if whole else rf"^{{{sign}\frac{{{abs(value.numerator)}}}{{{value.denominator}}}}}"


def _without_calls(text: str) -> str:
    # From the right, so that a call inside another is written before the one around it.
    for call in reversed(list(_CALL.finditer(text))):
        end = _closing(text, call.end())
        if end is None:
            continue
        written = _call(call, text[call.end() : end])
        if written is None:
            continue
        text = text[: call.start()] + written + text[end + 1 :]
    return text


def _call(call: re.Match[str], argument: str) -> str | None:
    """The call in LaTeX; None for a function that LaTeX only writes before its argument."""
    if call["degree"]:
        return rf"\sqrt{call['degree']}{{{argument}}}"
    name = call["name"] or ("^" if call["power"] else "sqrt")
    arguments = elements(argument)
    if name in _OF_TWO and len(arguments) == 2:
        return _OF_TWO[name].format(*arguments)
    return _AROUND[name].format(argument) if name in _AROUND else None


def _closing(text: str, start: int) -> int | None:
    """The index of the parenthesis that closes the one before `start`."""
    depth = 1
    for parenthesis in re.compile(r"[()]").finditer(text, start):
        depth += 1 if parenthesis[0] == "(" else -1
        if depth == 0:
            return parenthesis.start()
    return None
