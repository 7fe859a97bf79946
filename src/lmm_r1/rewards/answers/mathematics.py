"""Mathematical expressions: math_verify, with a cheap exact path before it and guards around it.

Where the two kinds of error pull against each other, avoiding the false positive comes first: a policy finds a false
positive and exploits it, while a false negative only slows it down.
"""

from __future__ import annotations

import logging
import re

from lmm_r1.rewards.answers.markup import bare, boxed_contents
from lmm_r1.rewards.answers.number import plain_number, without_separators

LONGEST_EXPRESSION = 512
"""Characters; a longer answer is not parsed."""

_RELATIVE_TOLERANCE = 2e-6
_NO_MATHEMATICS = re.compile(r"[^0-9\\]*", re.ASCII)
_ONLY_DIGITS = re.compile(r"[0-9\s.,;]*")
_POWER_TOWER = re.compile(r"[0-9)}]\s*(?:\^|\*\*)\s*[{(\s]*[0-9]+\s*[)}]*\s*(?:\^|\*\*)")
_HUGE = re.compile(r"[0-9]{5,}[\s)}]*!|!\s*\)?\s*!|(?:\^|\*\*)\s*[{(\s]*(?:[0-9]{5,}|[0-9]+\s*!)")
_DEGREES = re.compile(r"\s*(?:°|\^\s*\\circ|\^\s*\{\s*\\circ\s*\})$")
_UNIT = re.compile(
    r"\\(?:text|textrm|mathrm|mbox)\s*\{(?P<text>[^{}]*)\}(?:\^\{?[0-9]\}?)?\s*$|(?<=[0-9])\s*(?P<bare>[A-Za-z]{2,})$"
)
_RELATION = re.compile(r"(?<![<>!:\\])=|\\(?:leq?|geq?|neq?|lt|gt|in|approx|equiv|sim)(?![a-zA-Z])|[<>≤≥≠≈]")
_NAME = re.compile(r"\\?[A-Za-z]+(?:_\w|_\{[^{}]*\})?(?:'|\([^()]*\))?\s*")
_TWO_NUMBERS = re.compile(r"[0-9]\s+[0-9](?![0-9]*\s*/)")
_ANNOUNCEMENT = re.compile(r"^(?:so\s+|thus,?\s+)?(?:the\s+)?(?:final\s+)?answer\s*(?:is|:)\s*:?\s*", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![A-Za-z0-9_.\\])[+-]?[$€£¥]?[0-9]+(?:\.[0-9]+)?(?![A-Za-z0-9_/^*!\\(]|\.[0-9])")
_SPEECH = re.compile(
    r"(?:[A-Za-zÀ-ɏ]{2,}(?:['’-][A-Za-z]+)?|(?:\b[aAI]\s+(?=[A-Za-z]{2}))|[\s.,;:?$]|[\u3001\u3002\u3040-\u9fff])*"
)
_WORD = re.compile(r"[A-Za-zÀ-ɏ]+")
_NOT_MERE_UNITS = re.compile(
    r"\b(?:not|no|nor|or|and|between|than|least|most|greater|less|more|fewer|minus|negative|percent|half|third|quarter|"
    r"times|dozen|hundred|thousand|million|billion|trillion|squared|cubed|over|plus|divided|root|pi|sqrt|sin|cos|tan|"
    r"log|ln|exp|inf|infinity|alpha|beta|theta)\b|[不没非百千万亿半]",
    re.IGNORECASE,
)
_MIXED_NUMBER = re.compile(r"([+-]?[0-9]+)\s+([0-9]+)\s*/\s*([0-9]+)")
_REPEATING = re.compile(r"([0-9]*)\.([0-9]*)\\overline\s*\{([0-9]+)\}")


def quick_reason(gold: str, answer: str, percent: str = "either") -> str | None:
    """The verdict where it needs no algebra, else None: the same text, or two plain numbers.

    Where the gold is a plain number, an answer with no digit and no command is not parsed either, nor one of digits
    that form no number, such as a list.
    """
    expected_text, given_text = bare(gold), bare(answer)
    if not expected_text or not given_text or len(given_text) > LONGEST_EXPRESSION:
        return "unparsable"
    if expected_text == given_text:
        return "ok"
    expected = plain_number(expected_text)
    if expected is None:
        return None
    given = plain_number(given_text)
    if given is not None:
        return "ok" if expected == given else "wrong"
    if _ONLY_DIGITS.fullmatch(given_text):
        return "wrong"
    if given_text.isascii() and _NO_MATHEMATICS.fullmatch(given_text):
        return "unparsable"
    return None


def judge_mathematics(gold: str, answer: str, choices: tuple[str, ...] = (), percent: str = "either") -> str:
    """Whether the answer is mathematically the gold. Needs a limit on time and memory around it."""
    quick = quick_reason(gold, answer)
    if quick is not None:
        return quick
    expected = _cleaned(bare(gold))
    given = _stated_expression(answer, _unit(expected))
    if given is None or _hopeless(given):
        return "unparsable"
    if (quick := quick_reason(expected, given)) is not None:
        return quick
    given = _assigned_value(expected, _cleaned(given))
    if given is None or _differs_in_form(expected, given):
        return "wrong"
    return _compare(expected, given)


def judge_gold(gold: str) -> str:
    """Whether a gold parses and equals itself, without the short cut that the same text is the same answer."""
    if plain_number(gold) is not None:
        return "ok"
    expected = _cleaned(bare(gold))
    if not expected or len(expected) > LONGEST_EXPRESSION or _hopeless(expected):
        return "unparsable"
    return _compare(expected, expected)


def _compare(expected: str, given: str) -> str:
    # Imported late: sympy costs half a second, and most runs that need no algebra never get here.
    from math_verify import LatexExtractionConfig, parse, verify

    # Its own time limit is SIGALRM, which fails off the main thread; ours replaces it, so its warning is noise.
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    parsed = []
    for text in (expected, given):
        result = parse(f"${text}$", [LatexExtractionConfig()], fallback_mode="no_fallback", parsing_timeout=None)
        if not result:
            return "unparsable"
        parsed.append(result)
    gold, answer = parsed
    if not verify(gold, answer, timeout_seconds=None):
        return "wrong"
    return "ok" if _close(gold[0], answer[0]) else "wrong"


def _close(expected: object, given: object) -> bool:
    """False where math_verify's rounding to six decimals made two different small numbers equal."""
    from sympy import Expr

    if not all(isinstance(value, Expr) and value.is_number and value.is_finite for value in (expected, given)):
        return True
    difference, scale = abs((expected - given).evalf(15)), abs(expected.evalf(15))
    return bool(difference <= _RELATIVE_TOLERANCE * scale) or expected == given


def _stated_expression(answer: str, unit: str) -> str | None:
    """The one expression that an answer states, perhaps in a sentence; None where it states none or several."""
    boxes = {bare(box) for box in boxed_contents(answer)}
    if boxes:
        text = boxes.pop() if len(boxes) == 1 else None
    else:
        text = bare(_ANNOUNCEMENT.sub("", answer.strip()))
        formulas = re.findall(r"\$([^$]+)\$", text)
        if formulas:
            text = bare(formulas[0]) if len(formulas) == 1 else None
    if text is None:
        return None
    return _number_in_sentence(text, unit) or text


def _number_in_sentence(text: str, unit: str) -> str | None:
    """The only number among words, `5` of "5 apples" or "5厘米"; None where the words may change its meaning.

    Where the gold has a unit, the words must hold it.
    """
    text = without_separators(text)
    numbers = _NUMBER.findall(text)
    if len(numbers) != 1:
        return None
    words = text.replace(numbers[0], " ", 1)
    if not _SPEECH.fullmatch(words) or _NOT_MERE_UNITS.search(words) or unit not in words.casefold():
        return None
    return numbers[0]


def _cleaned(text: str) -> str:
    """Ways of writing that math_verify misreads, in LaTeX."""
    text = _DEGREES.sub("", without_separators(text))
    text = text.replace("\\fbox", "\\boxed").replace("**", "^").replace("*", r"\cdot ")
    text = re.sub(r"(?<![\\A-Za-z])pi(?![A-Za-z])", r"\\pi ", text)
    text = re.sub(r"(?<![\\A-Za-z])sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}", text)
    text = _REPEATING.sub(_as_fraction, text)
    if (mixed := _MIXED_NUMBER.fullmatch(text.strip())) is not None:
        text = rf"{mixed[1]}\frac{{{mixed[2]}}}{{{mixed[3]}}}"
    return text.strip()


def _as_fraction(repeating: re.Match[str]) -> str:
    """`0.1\\overline{6}` is (16 - 1) / 90."""
    whole, start, period = repeating.groups()
    numerator = int(whole + start + period) - int((whole + start) or "0")
    return rf"\frac{{{numerator}}}{{{(10 ** len(period) - 1) * 10 ** len(start)}}}"


def _hopeless(text: str) -> bool:
    """Whether parsing or evaluating would not end: too long, braces that do not pair, towers of powers, factorials."""
    if len(text) > LONGEST_EXPRESSION or not _braces_pair(text):
        return True
    return bool(_POWER_TOWER.search(text) or _HUGE.search(text))


def _braces_pair(text: str) -> bool:
    depth = 0
    for brace in re.findall(r"\\.|[{}]", text):
        depth += {"{": 1, "}": -1}.get(brace, 0)
        if depth < 0:
            return False
    return depth == 0


def _assigned_value(expected: str, given: str) -> str | None:
    """The answer, or `5` where it reads `x = 5` and a value is wanted; None where an equation is no value."""
    if _RELATION.search(expected) or not (relations := _RELATION.findall(given)):
        return given
    left, _, right = given.partition("=")
    if relations == ["="] and _NAME.fullmatch(left.strip()) and right.strip():
        return right.strip()
    # An inequality may state the interval that is wanted; math_verify decides.
    return None if "=" in relations else given


def _differs_in_form(expected: str, given: str) -> bool:
    """Whether the two cannot be the same although math_verify may say so: a list for a value, a set for a tuple."""
    if _commas(expected) == 0 < _commas(given) and "\\pm" not in expected:
        return True
    if _TWO_NUMBERS.search(given) and not _TWO_NUMBERS.search(expected):
        return True
    kinds = {_is_set(text) for text in (expected, given) if _bracketed_list(text)}
    if len(kinds) == 2:
        return True
    units = [_unit(text) for text in (expected, given)]
    return bool(units[0] and units[1] and units[0] != units[1])


def _unit(text: str) -> str:
    unit = _UNIT.search(text)
    return " ".join((unit["text"] or unit["bare"] or "").casefold().split()) if unit else ""


def _bracketed_list(text: str) -> bool:
    return "," in text and re.match(r"(?:\\left)?\s*(?:[(\[]|\\\{)", text) is not None


def _is_set(text: str) -> bool:
    return re.match(r"(?:\\left)?\s*\\\{", text) is not None


def _commas(text: str) -> int:
    """Commas outside all brackets."""
    depth = commas = 0
    for character in text:
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == "," and depth == 0:
            commas += 1
    return commas
