"""Whether two LaTeX expressions are the same: math_verify, and a check of its rounding."""

from __future__ import annotations

import logging
import re

from lmm_r1.rewards.answers.brackets import matched
from lmm_r1.rewards.answers.imaginary import with_imaginary_unit
from lmm_r1.rewards.answers.real_values import equal_as_reals

_RELATIVE_TOLERANCE = 2e-6
_RELATION = re.compile(r"(?<![<>!:\\])=|\\(?:leq?|geq?|neq?|lt|gt|in|approx|equiv|sim)(?![a-zA-Z])|[<>]")
_NAME = re.compile(
    r"\s*(?:\\?[A-Za-z]+(?:_\w|_\{[^{}]*\})?(?:'|\([^()]*\))?|\\text\s*\{[^{}]*\}|\([A-Za-z](?:,\s*[A-Za-z])+\)"
    r"|\|[A-Z]+\||[A-Z]:[A-Z]|\\angle\s*[A-Z]+)\s*"
)
_LETTERS = re.compile(r"(?<![\\A-Za-z])[A-Za-z]|\\(?:alpha|beta|gamma|theta|lambda|mu|phi|omega|sigma)(?![A-Za-z])")


def equal(expected: str, given: str) -> str:
    """`"ok"`, `"wrong"` or `"unparsable"`. The gold comes first: math_verify is not symmetric."""
    given_parts = _value_parts(expected, given)
    if given_parts is None:
        return "wrong"
    reasons = [_compare(expected, part) for part in given_parts]
    return next((reason for reason in reasons if reason != "ok"), "ok")


def compare_gold(expected: str) -> str:
    return _compare(expected, expected)


def _value_parts(expected: str, given: str) -> list[str] | None:
    """What must each equal a gold that is a value: `5` of `x = 5`, both sides of `2 + 3 = 5`; None for a relation.

    math_verify would take the last side of `1 = 5` or `x = 3 = 5` and forget the rest.
    """
    if _RELATION.search(expected) or not (relations := _RELATION.findall(given)):
        return [given]
    if "=" not in relations:
        # An inequality may state the interval that is wanted; math_verify decides.
        return [given]
    if set(relations) == {"="}:
        items = _split(given, ",")
        if len(items) > 1:
            values = [_assigned(item) for item in items]
            return None if None in values else [", ".join(value for value in values if value)]
        return _chain_values([side.strip() for side in _split(given, "=")])
    if relations[0] == r"\in" and len(relations) == 1:
        return [given]
    return None


def _chain_values(sides: list[str]) -> list[str] | None:
    """The sides of a chain of equations that are values; names and formulas of other letters are none."""
    if _NAME.fullmatch(sides[-1]) and not _NAME.fullmatch(sides[0]):
        sides = sides[::-1]
    *left, last = sides
    return [side for side in left if not _NAME.fullmatch(side) and not _LETTERS.search(side)] + [last]


def _assigned(item: str) -> str | None:
    """The value of one item of a list, with or without the name it is given."""
    sides = _split(item, "=")
    if len(sides) == 1:
        return item.strip()
    if len(sides) == 2 and _NAME.fullmatch(sides[0]) and sides[1].strip():
        return sides[1].strip()
    return None


def _split(text: str, separator: str) -> list[str]:
    """The parts between separators that stand outside all brackets."""
    parts, depth, start = [], 0, 0
    for index, character in enumerate(text):
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == separator and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    return [*parts, text[start:]]


def _compare(expected: str, given: str) -> str:
    # Imported late: sympy costs half a second, and most runs that need no algebra never get here.
    from latex2sympy2_extended import NormalizationConfig
    from math_verify import LatexExtractionConfig, parse

    # Its own time limit is SIGALRM, which fails off the main thread; ours replaces it, so its warning is noise.
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    # Units are split off before: its list of them holds letters that are variables, and it drops them unlooked at.
    normalization = NormalizationConfig(units=False, malformed_operators=True, nits=True, boxed="all")
    config = LatexExtractionConfig(normalization_config=normalization)
    parsed = []
    for text in (expected, given):
        if "answer" in text.lower():
            return "unparsable"  # words are left in it, and behind "answer" math_verify would look for a fraction
        result = parse(f"${text}$", [config], fallback_mode="no_fallback", parsing_timeout=None)
        if not result:
            return "unparsable"
        parsed.append(result)
    gold, answer = parsed
    try:
        same = _same(gold, answer) or _same_when_read_otherwise((expected, given), gold[0], answer[0])
    except MemoryError:
        raise
    except Exception:  # sympy raises anything on what it was not made for, as math_verify knows
        return "wrong"
    return "ok" if same else "wrong"


def _same(gold: list, answer: list) -> bool:
    from math_verify import verify

    return verify(gold, answer, timeout_seconds=None) and _close(gold[0], answer[0])


def _same_when_read_otherwise(texts: tuple[str, str], gold: object, answer: object) -> bool:
    """Whether the two are the same with `i` as the imaginary unit, or with real letters, part by part."""
    from sympy import Basic

    gold, answer = _as_pair(gold), _as_pair(answer)
    if not (isinstance(gold, Basic) and isinstance(answer, Basic)):
        return False
    complex_pair = with_imaginary_unit(texts, (gold, answer))
    if complex_pair is not None and _same([complex_pair[0]], [complex_pair[1]]):
        return True
    return any("sqrt" in text or "^" in text for text in texts) and _same_as_reals(gold, answer)


def _as_pair(expression: object) -> object:
    """An open interval as the point that it is written like; what is closed, as its ends and which of them are open."""
    from sympy import ImmutableMatrix, Interval, MatrixBase, Tuple

    if not isinstance(expression, Interval):
        return ImmutableMatrix(expression) if isinstance(expression, MatrixBase) else expression
    is_open = bool(expression.left_open and expression.right_open)
    return Tuple(*(expression.args[:2] if is_open else expression.args))


def _same_as_reals(gold: object, answer: object) -> bool:
    from sympy import Eq, FiniteSet, Tuple
    from sympy.matrices.matrixbase import MatrixBase

    if isinstance(gold, Eq) and gold.lhs.is_Symbol:
        same_name = not isinstance(answer, Eq) or answer.lhs == gold.lhs
        return same_name and _same_as_reals(gold.rhs, answer.rhs if isinstance(answer, Eq) else answer)

    def same(one: object, other: object) -> bool:
        return _same([one], [other]) or _same_as_reals(one, other)

    if isinstance(gold, FiniteSet) and isinstance(answer, FiniteSet):
        return matched(gold.args, answer.args, same)
    if isinstance(gold, Tuple | MatrixBase) and isinstance(answer, Tuple | MatrixBase):
        alike = len(gold) == len(answer) and getattr(gold, "shape", None) == getattr(answer, "shape", None)
        return alike and all(same(one, other) for one, other in zip(gold, answer, strict=True))
    return equal_as_reals(gold, answer)


def _close(expected: object, given: object) -> bool:
    """False where math_verify's rounding to six decimals made two different small numbers equal."""
    from sympy import Expr, FiniteSet, Interval, Tuple
    from sympy.matrices.matrixbase import MatrixBase

    if isinstance(expected, MatrixBase) and isinstance(given, MatrixBase) and expected.shape == given.shape:
        return all(_close(one, other) for one, other in zip(expected, given, strict=True))
    for kind in (Tuple, Interval, FiniteSet):
        if isinstance(expected, kind) and isinstance(given, kind) and len(expected.args) == len(given.args):
            pairs = zip(_ordered(expected), _ordered(given), strict=True)
            return all(_close(one, other) for one, other in pairs)
    if not all(isinstance(value, Expr) and value.is_number and value.is_finite for value in (expected, given)):
        return True
    difference, scale = abs((expected - given).evalf(15)), abs(expected.evalf(15))
    if not (difference.is_Number and scale.is_Number):
        return expected.doit() == given.doit()  # a remainder, for one, is worked out only when it is asked for
    return bool(difference <= _RELATIVE_TOLERANCE * scale) or expected == given


def _ordered(collection: object) -> list:
    """The members; of a set of real numbers, by size."""
    from sympy import FiniteSet

    members = list(collection.args)
    if isinstance(collection, FiniteSet) and all(member.is_extended_real and member.is_number for member in members):
        return sorted(members, key=lambda member: member.evalf(15))
    return members
