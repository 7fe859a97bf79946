r"""Whether an expression would grow beyond all limits, seen from its text alone.

Powers of powers, factorials, powers of sums and sums of fractions do in a few characters, in any brackets:
`\left(9^9\right)^{9^9}`. The estimate reads the text once, as far as it understands it, and is no parser: what it does
not know counts as a letter.
"""

from __future__ import annotations

import re

from lmm_r1.rewards.answers.size import (
    CONSTANTS,
    HIGHEST_POWERS_OF_LETTERS,
    MOST_DIGITS_UNDER_A_ROOT,
    MOST_DIGITS_WITH_LETTERS,
    MOST_SUMMANDS,
    Size,
    TooLargeError,
    binomial,
    factorial,
    float_power,
    over,
    plus,
    power_of,
    times,
)

_DEEPEST = 40
_IGNORED = re.compile(
    r"\\(?:left|right|[bB]igg?[lr]?|displaystyle|limits)(?![A-Za-z])|\\[,;:! ]|~|\s+|\\(?:text|mathrm)\s*\{[^{}]*\}"
)
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")
_TOKEN = re.compile(rf"{_NUMBER.pattern}|\\[A-Za-z]+|\\.|.", re.DOTALL)
_MAY_GROW = re.compile(r"\^|!|binom|\\(?:sum|prod)(?![a-z])")
_MOST_FACTORS = 3
_CLOSING = {"(": ")", "[": "]", "{": "}", "\\{": "\\}"}
_OPERATORS = {"*", "/", "\\cdot", "\\times", "\\div"}
_ENDS = {"+", "-", ")", "]", "}", "\\}", ",", ";", "&", "=", "<", ">", "\\\\", "\\pm", "\\mp"}
_ENDS |= {"\\le", "\\leq", "\\ge", "\\geq", "\\ne", "\\neq", "\\in", "\\cup", "\\cap", "\\mod", "\\pmod", "\\approx"}
_FUNCTIONS = {
    "\\sin",
    "\\cos",
    "\\tan",
    "\\cot",
    "\\sec",
    "\\csc",
    "\\arcsin",
    "\\arccos",
    "\\arctan",
    "\\sinh",
    "\\cosh",
}
_FUNCTIONS |= {"\\tanh", "\\log", "\\ln", "\\exp", "\\operatorname", "\\Gamma"}


def too_large(text: str) -> bool:
    """Whether evaluating or expanding an expression would take longer than any answer is worth."""
    if _MAY_GROW.search(text) is None and max(text.count(part) for part in ("frac", "(", *_FUNCTIONS)) < _MOST_FACTORS:
        return False
    try:
        _Estimate(_TOKEN.findall(_IGNORED.sub(" ", text))).everything()
    except TooLargeError:
        return True
    return False


class _Estimate:
    """Recursive descent over the tokens; each call takes one token at least."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.position = 0
        self.depth = 0

    @property
    def next(self) -> str | None:
        while self.position < len(self.tokens) and self.tokens[self.position] == " ":
            self.position += 1
        return self.tokens[self.position] if self.position < len(self.tokens) else None

    def take(self) -> str:
        token = self.next
        self.position += 1
        return token or ""

    def everything(self, closing: str | None = None) -> Size:
        """The last of the parts up to the closing bracket: `1` of `k=1`."""
        size, digits = Size(value=0.0), 0.0
        while self.next is not None and self.next != closing:
            start = self.position
            size = self.sum()
            digits += size.digits
            if self.position == start or (self.next in _ENDS and self.next != closing):
                self.take()
        self.take()
        return size._replace(digits=max(size.digits, digits))

    def sum(self) -> Size:
        size = self.product()
        while self.next in ("+", "-"):
            sign = self.take()
            size = plus(size, self.product(), -1 if sign == "-" else 1)
        return size

    def product(self) -> Size:
        if self.next in ("+", "-"):
            negative = self.take() == "-"
            size = self.product()
            return size._replace(value=-size.value) if negative and size.value is not None else size
        size = Size(value=1.0)
        while self.next is not None and self.next not in _ENDS:
            operator = self.take() if self.next in _OPERATORS else "*"
            if self.next is None or self.next in _ENDS:
                break
            factor = self.factor()
            size = over(size, factor) if operator in ("/", "\\div") else times(size, factor)
        return size

    def factor(self) -> Size:
        start = self.position
        size = self.atom()
        while self.next in ("^", "_", "!", "'"):
            mark = self.take()
            if mark == "^":
                size = self.power(size, self.exponent(), start)
            elif mark == "!":
                size = factorial(size)
            elif mark == "_":
                self.script()
                size = size._replace(letters=frozenset({self.written(start)})) if size.letters else size
        return size

    def power(self, base: Size, exponent: Size, start: int) -> Size:
        if exponent.letters - {*CONSTANTS} or exponent.value is None:
            height = max(base.height, exponent.height + 1)
            grows = base.digits and not base.letters and exponent.digits > MOST_DIGITS_WITH_LETTERS
            if height > HIGHEST_POWERS_OF_LETTERS or grows:
                raise TooLargeError
            letters = frozenset({self.written(start)})
            return Size(digits=base.digits + exponent.digits, degree=1, letters=letters, height=height)
        return power_of(base, exponent)

    def script(self) -> Size:
        negative = self.next in ("+", "-") and self.take() == "-"
        size = self.atom()
        return size._replace(value=-size.value) if negative and size.value is not None else size

    def exponent(self) -> Size:
        """Powers without braces go on from the right: `2^3^2`."""
        start = self.position
        size = self.script()
        if self.next != "^":
            return size
        self.take()
        return self.power(size, self.exponent(), start)

    def atom(self) -> Size:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise TooLargeError
        start = self.position
        size = self.one(self.take(), start)
        self.depth -= 1
        return size

    def one(self, token: str, start: int) -> Size:
        if _NUMBER.fullmatch(token):
            return Size(digits=float(len(token)), value=float(token))
        if token in _CLOSING:
            return self.everything(_CLOSING[token])
        if token in CONSTANTS:
            return Size(digits=1.0, value=CONSTANTS[token], degree=1, letters=frozenset({token}))
        if token in ("\\frac", "\\dfrac", "\\tfrac"):
            return over(self.argument(), self.argument())
        if token in ("\\binom", "\\dbinom", "\\tbinom"):
            return binomial(self.argument(), self.argument())
        if token == "\\sqrt":
            return self.root(start)
        if token in ("\\sum", "\\prod"):
            return self.series()
        if token in _FUNCTIONS:
            return self.function(start)
        if token in ("|", "\\|", "$", "."):
            return Size(value=1.0)
        return Size(degree=1, letters=frozenset({token}))

    def argument(self) -> Size:
        r"""What stands in braces, or one digit: `\frac12`."""
        token = self.next or ""
        if len(token) > 1 and token.isdigit():
            self.tokens[self.position : self.position + 1] = list(token)
        return self.atom()

    def root(self, start: int) -> Size:
        degree = 2.0
        if self.next == "[":
            self.take()
            degree = self.everything("]").value or 2.0
        radicand = self.argument()
        if radicand.digits > MOST_DIGITS_UNDER_A_ROOT:
            raise TooLargeError
        known = radicand.value is not None and radicand.value >= 0 and degree > 0
        kind = "" if radicand.letters - {*CONSTANTS} else "root "
        return radicand._replace(
            value=float_power(radicand.value, 1 / degree) if known else None,
            terms=1.0,
            below=1.0,
            degree=1.0,
            letters=frozenset({kind + self.written(start)}),
        )

    def series(self) -> Size:
        bounds = {}
        while self.next in ("_", "^"):
            mark = self.take()
            bounds[mark] = self.script().value
        first, last = bounds.get("_"), bounds.get("^")
        if first is not None and last is not None and not last - first < MOST_SUMMANDS:
            raise TooLargeError
        return Size(value=None, degree=1, letters=frozenset({"series"}))

    def function(self, start: int) -> Size:
        exponents = []
        while self.next in ("_", "^"):
            if self.take() == "^":
                exponents.append(self.script())
            else:
                self.script()
        argument = self.argument_of_function()
        kind = "function " if argument.letters - {*CONSTANTS} else "root "
        size = Size(degree=1, letters=frozenset({kind + self.written(start)}))
        for exponent in exponents:
            size = self.power(size, exponent, start)
        return size

    def argument_of_function(self) -> Size:
        r"""What stands in brackets, or all factors up to the next function: `2x` of `\sin 2x\cos y`."""
        if self.next in _CLOSING:
            return self.factor()
        size = Size(value=1.0)
        while self.next is not None and self.next not in _ENDS | _OPERATORS | _FUNCTIONS:
            size = times(size, self.factor())
        return size

    def written(self, start: int) -> str:
        return "".join(self.tokens[start : self.position])
