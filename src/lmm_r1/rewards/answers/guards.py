"""What math_verify would call equal, or would never finish, and is not right."""

from __future__ import annotations

import re

from lmm_r1.rewards.answers.growth import too_large

LONGEST_EXPRESSION = 512
"""Characters; a longer answer is not parsed."""
LONGEST_RESPONSE = 20_000
"""Characters; where an answer is looked for in a longer text, it is not looked for at all."""
DEEPEST_NESTING = 12
"""Brackets within brackets; the parser's time grows exponentially with fractions within fractions."""

_EXPONENT = re.compile(r"[0-9.][eE][+-]?[0-9]{5,}")
_TWO_NUMBERS = re.compile(r"[0-9](?:\s|~|\\[ ,;:!]|\\q?quad)+[0-9]|(?<![\w\\^}.])[0-9.]+\s*\{[0-9.]+\}")
_BRACES = re.compile(r"(?:\\left\s*)?\\?\{[^{}]*,")
_OPERATION = re.compile(
    r"\\(?:i*int|oint|sum|prod|lim)(?![a-z])|\\[dt]?frac\s*\{?\s*(?:d|\\partial)\s*\}?\s*\{\s*(?:d|\\partial\s*)[a-z]"
)
_VALUE_AT = re.compile(r"\s*([A-Za-z])\(\s*([+-]?[0-9.]+)\s*\)\s*=")
_PAIR = re.compile(r"\s*(?:\\left\s*)?\[[^,;\[\]]*[,;][^,;\[\]]*\]\s*")
_COLLECTION = re.compile(r"[,;<>|]|\\(?:leq?|geq?|in|pm|begin|cup|mathbb)(?![A-Za-z])")
_TUPLE = re.compile(r"(?:\\left)?\s*[(\[]")
_SET = re.compile(r"(?:\\left)?\s*\\\{")


def hopeless(text: str) -> bool:
    """Whether parsing or evaluating would not end: too long, braces that do not pair, brackets too deep, an exponent of
    five digits, or anything else that grows beyond all limits.
    """
    if len(text) > LONGEST_EXPRESSION or not _braces_pair(text) or _nesting(text) > DEEPEST_NESTING:
        return True
    return _EXPONENT.search(text) is not None or too_large(text)


def differs_in_form(expected: str, given: str) -> bool:
    """Whether the two cannot be the same although math_verify may say so."""
    guards = (lists_for_a_value, loose_numbers, set_for_a_tuple, other_place, open_operation, interval_for_a_value)
    return any(guard(expected, given) for guard in guards)


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


def open_operation(expected: str, given: str) -> bool:
    """An integral, a sum or a limit where the gold has none: whoever writes the question again has not answered it."""
    return _OPERATION.search(given) is not None and _OPERATION.search(expected) is None


def interval_for_a_value(expected: str, given: str) -> bool:
    """`[5, 5]` where 5 is wanted: math_verify takes an interval of one point for the point."""
    return _PAIR.fullmatch(given) is not None and not _COLLECTION.search(expected)


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


def _braces_pair(text: str) -> bool:
    depth = 0
    for brace in re.findall(r"\\.|[{}]", text):
        depth += {"{": 1, "}": -1}.get(brace, 0)
        if depth < 0:
            return False
    return depth == 0
