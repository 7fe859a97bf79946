"""What math_verify would call equal, or would never finish, and is not right."""

from __future__ import annotations

import math
import re

LONGEST_EXPRESSION = 512
"""Characters; a longer answer is not parsed."""
LONGEST_RESPONSE = 20_000
"""Characters; where an answer is looked for in a longer text, it is not looked for at all."""
DEEPEST_NESTING = 12
"""Brackets within brackets; the parser's time grows exponentially with fractions within fractions."""
MOST_TERMS = 250
"""Of an expanded power of a sum; sympy needs a second for 400."""

_POWER_TOWER = re.compile(r"[0-9)}]\s*(?:\^|\*\*)\s*[{(\s]*[0-9]+\s*[)}]*\s*(?:\^|\*\*)")
_HUGE = re.compile(
    r"[0-9]{5,}[\s)}]*!|!\s*\)?\s*!|(?:\^|\*\*)\s*[{(\s]*[+-]?\s*(?:[0-9]{5,}|[0-9]+\s*!)|[0-9.][eE][+-]?[0-9]{5,}"
)
_POWER_OF_SUM = re.compile(r"\((?P<sum>[^()]*)\)\s*(?:\^|\*\*)\s*[{(\s]*[+-]?\s*(?P<power>[0-9]{1,4})")
_TWO_NUMBERS = re.compile(r"[0-9](?:\s|~|\\[ ,;:!]|\\q?quad)+[0-9]|(?<![\w\\^}.])[0-9.]+\s*\{[0-9.]+\}")
_BRACES = re.compile(r"(?:\\left\s*)?\\?\{[^{}]*,")
_BINOMIAL = re.compile(r"\\[dt]?binom\s*\{?[^{}]*(?:[0-9]{5,}|\^)")
_VALUE_AT = re.compile(r"\s*([A-Za-z])\(\s*([+-]?[0-9.]+)\s*\)\s*=")
_TUPLE = re.compile(r"(?:\\left)?\s*[(\[]")
_SET = re.compile(r"(?:\\left)?\s*\\\{")


def hopeless(text: str) -> bool:
    """Whether parsing or evaluating would not end: too long, braces that do not pair, brackets too deep, towers of
    powers, huge exponents, factorials and binomials, powers of sums.
    """
    if len(text) > LONGEST_EXPRESSION or not _braces_pair(text) or _nesting(text) > DEEPEST_NESTING:
        return True
    if _POWER_TOWER.search(text) or _HUGE.search(text) or _BINOMIAL.search(text):
        return True
    return any(_terms(power["sum"], int(power["power"])) > MOST_TERMS for power in _POWER_OF_SUM.finditer(text))


def differs_in_form(expected: str, given: str) -> bool:
    """Whether the two cannot be the same although math_verify may say so."""
    return any(guard(expected, given) for guard in (lists_for_a_value, loose_numbers, set_for_a_tuple, other_place))


def lists_for_a_value(expected: str, given: str) -> bool:
    """`2, 2` or `2, 3` where 2 is wanted: math_verify drops what repeats, and a policy would list its guesses."""
    return commas(expected) == 0 < commas(given) and "\\pm" not in expected and not _BRACES.match(expected)


def loose_numbers(expected: str, given: str) -> bool:
    """`3 4` where 34 or 12 is wanted: math_verify joins or multiplies numbers that stand side by side."""
    return bool(_TWO_NUMBERS.search(given)) and not _TWO_NUMBERS.search(expected)


def set_for_a_tuple(expected: str, given: str) -> bool:
    r"""`\{1, 2\}` where the point (1, 2) is wanted, or the reverse: math_verify sorts one to match the other."""
    kinds = {_is_set(text) for text in (expected, given) if _is_set(text) or _is_tuple(text)}
    return len(kinds) == 2


def other_place(expected: str, given: str) -> bool:
    """`f(3) = 5` where f(2) = 5 is wanted: math_verify looks at the value alone."""
    places = [_VALUE_AT.match(text) for text in (expected, given)]
    return None not in places and places[0].groups() != places[1].groups()


def commas(text: str) -> int:
    """Commas outside all brackets."""
    depth = count = 0
    for character in text:
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == "," and depth == 0:
            count += 1
    return count


def _is_set(text: str) -> bool:
    return "," in text and _SET.match(text) is not None


def _is_tuple(text: str) -> bool:
    return "," in text and commas(text) == 0 and _TUPLE.match(text) is not None


def _nesting(text: str) -> int:
    """How many brackets stand open at once; what closes too much counts as nothing."""
    depth = deepest = 0
    for character in text:
        if character in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")]}":
            depth = max(depth - 1, 0)
    return deepest


def _terms(base: str, power: int) -> int:
    """Terms of an expanded power of a sum with letters in it; one for a power of numbers, which is a number."""
    summands = 1 + len(re.findall(r"(?<=[^\s({])\s*[+-]", base))
    has_letters = re.search(r"(?<![\\A-Za-z])[A-Za-z]", base) is not None
    return math.comb(power + summands - 1, power) if has_letters else 1


def _braces_pair(text: str) -> bool:
    depth = 0
    for brace in re.findall(r"\\.|[{}]", text):
        depth += {"{": 1, "}": -1}.get(brace, 0)
        if depth < 0:
            return False
    return depth == 0
