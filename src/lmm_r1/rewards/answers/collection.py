"""Sets and tuples, element by element: each pair of elements is judged as mathematics."""

from __future__ import annotations

import re

from lmm_r1.rewards.answers.brackets import MOST_ELEMENTS, cleaned, elements, enclosed, matched
from lmm_r1.rewards.answers.condition_words import means_a_set
from lmm_r1.rewards.answers.conditions import parse_set
from lmm_r1.rewards.answers.interval import judge_interval, judge_own_interval
from lmm_r1.rewards.answers.mathematics import judge_gold, quick_reason
from lmm_r1.rewards.answers.sequences import has_dots, judge_sequences, terms
from lmm_r1.rewards.answers.tolerance import judge_value
from lmm_r1.rewards.answers.vectors import parse_vector, prepared, same_vector
from lmm_r1.rewards.claim import Claim

_EMPTY = re.compile(r"\\emptyset|\\varnothing|∅")
_CONJUNCTION = re.compile(r"\s*,?\s*(?:\\text\s*\{\s*(?:and|or)\s*\}|\b(?:and|or)\b)\s*", re.IGNORECASE)


def judge_set(claim: Claim) -> str:
    r"""Whether both have the same elements in any order: `\{1, 2\}`, `{2,1}`, and the bare lists "1, 2" and "1 and 2".

    `\pm 2` is two elements, and repeating one changes nothing. A tuple or an interval is no set. Where the gold is a
    condition on real numbers, `\{x \mid x > 2\}`, so may the answer be.
    """
    if means_a_set(claim.gold) and parse_set(claim.gold) is not None:
        return judge_interval(claim)
    if (reason := judge_sequences(claim.gold, claim.answer, _same(claim))) is not None:
        return "wrong" if cleaned(claim.answer).startswith(("(", "[")) else reason
    expected, given = set_elements(claim.gold), set_elements(claim.answer)
    return _judged(claim, expected, given, lambda: matched(expected, given, _same(claim)))


def judge_tuple(claim: Claim) -> str:
    r"""Whether both have the same elements in the same order: `(1, 2)`, or bare as "1, 2"; `[1, 2]` is no tuple.

    A vector may be written as vectors are: `\langle 1, 2\rangle`, as a column, or with i, j and k.
    """
    if (reason := judge_sequences(claim.gold, claim.answer, _same(claim))) is not None:
        return "wrong" if cleaned(claim.answer).startswith(("{", "\\{", "[")) else reason
    vectors = parse_vector(prepared(claim.gold)), parse_vector(prepared(claim.answer))
    if None not in vectors:
        return "ok" if same_vector(*vectors, _same(claim)) else "wrong"
    expected, given = tuple_elements(claim.gold), tuple_elements(claim.answer)
    return _judged(
        claim,
        expected,
        given,
        lambda: len(expected) == len(given) and all(map(_same(claim), expected, given)),
    )


def judge_own_set(claim: Claim) -> str:
    """Whether the gold is a set whose elements all parse."""
    if means_a_set(claim.gold) and parse_set(claim.gold) is not None:
        return judge_own_interval(claim)
    if has_dots(claim.gold):
        return _judged_gold(terms(claim.gold))
    return _judged_gold(set_elements(claim.gold))


def judge_own_tuple(claim: Claim) -> str:
    """Whether the gold is a tuple whose elements all parse."""
    if has_dots(claim.gold):
        return _judged_gold(terms(claim.gold))
    vector = parse_vector(prepared(claim.gold))
    return _judged_gold(tuple_elements(claim.gold) if vector is None else [*vector.elements])


def set_elements(text: str) -> list[str] | None:
    """The distinct elements of a set as it is written, or None for what is none."""
    text = cleaned(text)
    if _EMPTY.fullmatch(text):
        return []
    inside = enclosed(text, "{", "}")
    if inside is None and len(elements(text)) == 1 and text[:1] in "([" and text[-1:] in ")]":
        return None
    if inside is None:
        inside = _CONJUNCTION.sub(",", text)
    found = [sign for element in elements(inside) for sign in _signs(element)]
    if not _usable(found) or (inside == text and not found):
        return None
    distinct: list[str] = []
    for element in found:
        if not any(element == other or quick_reason(other, element) == "ok" for other in distinct):
            distinct.append(element)
    return distinct


def tuple_elements(text: str) -> list[str] | None:
    """The elements of a tuple in order, or None for what is none."""
    text = cleaned(text)
    inside = enclosed(text, "(", ")")
    if inside is None:
        if len(elements(text)) < 2:
            return None
        inside = text
    found = elements(inside)
    return found if found and _usable(found) else None


def _judged(claim: Claim, expected: list[str] | None, given: list[str] | None, same: object) -> str:
    if expected is None or given is None:
        return "unparsable"
    return "ok" if same() else "wrong"


def _same(claim: Claim):
    def same(gold: str, answer: str) -> bool:
        pair = claim._replace(gold=gold, answer=answer)
        return _element_judge(gold)(pair) == "ok"

    return same


def _element_judge(gold: str):
    """The judge of an element: sets and tuples may hold sets and tuples."""
    if enclosed(gold, "{", "}") is not None and gold.startswith("\\{"):
        return judge_set
    inside = enclosed(gold, "(", ")")
    return judge_tuple if inside is not None and len(elements(inside)) > 1 else judge_value


def _judged_gold(found: list[str] | None) -> str:
    if found is None:
        return "unparsable"
    for element in found:
        judge = _element_judge(element)
        own = {judge_set: set_elements, judge_tuple: tuple_elements}.get(judge)
        reason = judge_gold(element) if own is None else _judged_gold(own(element))
        if reason != "ok":
            return reason
    return "ok"


def _usable(found: list[str]) -> bool:
    return len(found) <= MOST_ELEMENTS and all(found)


def _signs(element: str) -> list[str]:
    r"""Both values of `1 \pm 2`."""
    text = element.replace("±", "\\pm ")
    if "\\pm" not in text:
        return [element]
    return [re.sub(r"^\s*\+", "", text.replace("\\pm", sign)).strip() for sign in "+-"]
