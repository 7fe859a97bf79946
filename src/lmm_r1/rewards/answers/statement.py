"""Which part of a text is the answer it states: a box, a formula, or a number among words.

The choice never depends on the gold, so a text that offers several candidates has committed to one of them, or to a
list of all, before anything is compared. Every pattern here is linear in the text.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from lmm_r1.rewards.answers.amounts import with_currencies_behind, with_digits
from lmm_r1.rewards.answers.announcement import ANNOUNCEMENT
from lmm_r1.rewards.answers.bases import with_bases
from lmm_r1.rewards.answers.markup import bare
from lmm_r1.rewards.answers.notation import in_latex
from lmm_r1.rewards.answers.number import without_separators
from lmm_r1.rewards.answers.programs import FUNCTIONS, GREEK
from lmm_r1.rewards.answers.remarks import split_remark
from lmm_r1.rewards.answers.spans import (
    formulas_of,
    joined,
    last_boxes,
    last_formulas,
    last_sentence,
    sentence_from,
    without_formulas,
)
from lmm_r1.rewards.answers.units import is_unit, split_unit

_BROKEN_INLINE = re.compile(r"(?:(?<![\\$])\$|\\\()[ \t]*\n[^$]*(?:\$|\\\))")
_MARK = re.compile(r"(?<!#)####(?!#)")
_HEADING = re.compile(r"[0-9]+[.):]\s+\S|[^\W\d_]{2}")
_LINE_START = re.compile(r"[ \t*#_>]*")
_WITHOUT_VALUE = re.compile(
    r"\b(?:unknown|undefined|none|nothing|impossible|unclear|indeterminate|exist|exists|can|cannot|no|not|dne)\b|n['’]t\b",
    re.IGNORECASE,
)
_NO_STATEMENT = re.compile(r"\?|\b(?:wrong|incorrect)\b|错误|錯誤", re.IGNORECASE)
_SHORT = 3
"""Words of an answer that is no formula or number, "the red one"; more are a remark, "based on the symmetry of it"."""

_ANNOUNCEMENTS_READ = 8
"""From the end; a bound, so that a text of nothing but announcements costs no more than any other."""

_COPULA = re.compile(
    r"(?:\b(?:is|are|was|were|equals|est)\b|\bit['’]s\b|(?<![<>!:=])=(?!=)|:|(?<!不)[是为]|：)\s*(?:(?:about|exactly|just)\s)?",
    re.IGNORECASE,
)
_LONGEST = 512
"""Characters of a text that is an answer as a whole."""

_NUMBER = re.compile(
    r"(?<![0-9A-Za-z_.\\/^*(])[+-]?[$€£¥₹]?(?:[0-9]+\s+[0-9]+/[0-9]+|[0-9]+,[0-9]{2}(?![0-9,])|[0-9]+(?:\.[0-9]+)?(?:/[0-9]+)?|\.[0-9]+)"
    r"(?:\s*(?:\\?%|per\s?cent(?:age)?\b|pct\b))?(?![0-9_/^*!\\(²³]|\.[0-9]|[A-Za-z](?![A-Za-z²³]))"
)
_COMMAND = re.compile(r"\\[A-Za-z]+(?:\s*\{[^{}]*\})?")
_PROSE = re.compile(
    r"(?!(?:and|or|pi|sqrt|sin|cos|tan|log|ln|exp|inf|infty|pct|percent|percentage)(?![a-z]))"
    rf"(?!(?:{FUNCTIONS})\(|(?:{GREEK})(?![A-Za-z]))(?<![A-Za-z0-9}}_^])[A-Za-z]?[a-zà-ÿ]{{2,}}"
    r"|[^\W\d_A-Za-zΑ-ω]"
)
_PERCENT = re.compile(r"\s*(?:\\?%|per\s?cent(?:age)?\b|pct\b)")
_POWER_OF_UNIT = re.compile(r"(?<![A-Za-z])([A-Za-z]+)\s?\^\s?\{?([23])\}?(?![0-9])")
_SPEECH = re.compile(r"(?:[^\W\d_]+(?:['’-][^\W\d_]+)*|[\s.,;:?!$€£¥₹²³\"'“”]|\*\*)*")
_ODD = re.compile(r"[^\x00-\x7f²³]")
_CHANGES_THE_VALUE = re.compile(
    r"\b(?:not|no|nor|or|and|between|than|least|most|greater|less|more|fewer|minus|negative|half|third|quarter|"
    r"times|dozen|hundred|thousand|million|billion|trillion|bn|lakh|crore|squared|cubed|over|plus|divided|root|pi|sqrt|sin|cos|tan|"
    r"log|ln|exp|inf|infinity|alpha|beta|theta|sum|infinite|factorial|except|excluding|cannot|wrong|incorrect)\b|n['’]t\b|[不没非百千万亿半]|[π∞√]",
    re.IGNORECASE,
)


def final_statement(text: str) -> str:
    """The end of a response where its answer is, for any type of answer.

    The last boxes; or what a later "final answer is", `####` or line "Answer: …" announces; else what the last "answer
    is" or `####` announces; else the last formula with no number behind it; else the whole text, or of a long one the
    last sentence with a formula or digit. Boxes or formulas joined by "and", "or" or a comma are one list. A remark at
    the end that restricts the letters of a box or formula stays with it.
    """
    body, remark = split_remark(text)
    if remark is None or not (formulas_of(text) or last_boxes(body)):
        return _statement(text)
    return _statement(body) if remark.is_free else f"{_statement(body)} {remark.words}"


def _statement(text: str) -> str:
    boxes = last_boxes(text)
    announced = _announced(text)
    if boxes:
        later = (one.said for one in announced if one.is_final and one.start > boxes[-1].end)
        return next((said for said in later if formulas_of(said) or _NUMBER.search(said)), joined(boxes))
    said = [one.said for one in announced if one.said]
    if said:
        return next((one for one in said if _states_something(one)), said[0])
    formulas = last_formulas(text)
    if formulas and _stands_alone(text[: formulas[0].start], text[formulas[-1].end :]):
        return joined(formulas)
    return text if len(text) <= _LONGEST else last_sentence(text)


class _Announced(NamedTuple):
    """What an announcement says, and whether it counts although a box stands before it."""

    start: int
    said: str
    is_final: bool


def _announced(text: str) -> list[_Announced]:
    """What the last announcements and marks of a text say, the last one first."""
    masked = without_formulas(text)
    found = []
    for match in [*ANNOUNCEMENT.finditer(masked)][-_ANNOUNCEMENTS_READ:]:
        line = masked.rfind("\n", 0, match.start()) + 1
        alone = _LINE_START.match(masked, line).end() == match.start() and match.group().rstrip().endswith((":", "："))
        said = sentence_from(text, masked, match.end())
        found.append(_Announced(match.start(), said, alone or match["final"] is not None))
    for match in [*_MARK.finditer(text)][-_ANNOUNCEMENTS_READ:]:
        said, _, behind = text[match.end() :].partition("\n")
        last_word = said.strip() and not behind.strip() and not re.search(r"[0-9]", said)
        if last_word or _is_marked(said.strip()):
            found.append(_Announced(match.start(), said.strip(" *\t\r."), True))
    return sorted(found, reverse=True)


def _is_marked(said: str) -> bool:
    """Whether what stands behind `####` is an answer and no heading."""
    if not said or _HEADING.match(said):
        return False
    return bool(formulas_of(said)) or not _is_prose(said) or number_among_words(said) is not None


def _states_something(said: str) -> bool:
    """Whether an announcement is followed by an answer and not by a remark on it."""
    if re.search(r"[0-9]", said) or formulas_of(said) or _WITHOUT_VALUE.search(said):
        return True
    return len(said.split()) <= _SHORT


def _stands_alone(before: str, behind: str) -> bool:
    """Whether the last formula is the answer as it stands: no number comes later, no "not" before it, no "million"."""
    if re.search(r"[0-9]|%", behind):
        return False
    neighbours = " ".join([*before.split()[-2:], *behind.split()[:1]])
    return not _CHANGES_THE_VALUE.search(neighbours)


def stated_expression(text: str) -> str | None:
    """The one expression or list of expressions that a text states; None where what it states is broken."""
    text = with_currencies_behind(with_digits(with_bases(in_latex(bare(text)))))
    if boxes := last_boxes(text):
        statement = final_statement(text)
        if statement != joined(boxes):
            return stated_expression(statement)
        return _with_percent(statement, _after_formula(text, boxes[-1].end))
    if _BROKEN_INLINE.search(text):
        return None
    if not _has_words_or_formulas(text):
        return text
    statement = final_statement(text)
    taken_back = statement != text and _WITHOUT_VALUE.search(statement)
    sentences = (statement,) if taken_back else (statement, last_sentence(text))
    stated = map(_stated_in_sentence, sentences)
    return next((expression for expression in stated if expression), None if formulas_of(text) else text)


def _has_words_or_formulas(text: str) -> bool:
    return bool(formulas_of(text)) or "####" in text or _is_prose(text)


def _is_prose(text: str) -> bool:
    """Whether there are words in the text that are no part of an expression."""
    return _PROSE.search(_COMMAND.sub(" ", text)) is not None


def _stated_in_sentence(sentence: str) -> str | None:
    """The expression after the last "is" of a sentence, or the only one in it."""
    if not _has_words_or_formulas(sentence):
        return bare(sentence)
    masked = without_formulas(sentence)
    if _NO_STATEMENT.search(masked):
        return None
    copulas = [match.end() for match in _COPULA.finditer(masked)]
    for start in (*reversed(copulas[-1:]), 0):
        clause = sentence[start:].strip()
        if formulas_of(clause):
            return _formula_in_clause(clause)
        if (number := number_among_words(clause)) is not None:
            return number
        if not _is_prose(split_unit(bare(clause))[0]) and re.search(r"[0-9]", clause):
            return bare(clause)
    return None


def _formula_in_clause(clause: str) -> str | None:
    formulas = last_formulas(clause)
    behind = clause[formulas[-1].end :]
    around = clause[: formulas[0].start] + " " + behind
    if _CHANGES_THE_VALUE.search(_PERCENT.sub(" ", re.sub(r"\$", " ", without_formulas(around)))):
        return None
    if _NUMBER.search(without_separators(behind)):
        return None
    return _with_percent(joined(formulas), behind)


def number_among_words(text: str) -> str | None:
    """The only number among words, `5` of "5 apples" or "5厘米"; None where the words may change its meaning."""
    text = _POWER_OF_UNIT.sub(_raised_unit, without_separators(text))
    numbers = [match.group() for match in _NUMBER.finditer(text)]
    if len(numbers) != 1 or any(unicodedata.category(character) in ("No", "Nl") for character in _ODD.findall(text)):
        return None
    before, _, behind = text.partition(numbers[0])
    if before.rstrip().endswith(" but"):  # "any number but 3"
        return None
    if not _SPEECH.fullmatch(before + " " + behind) or _CHANGES_THE_VALUE.search(before + " " + behind):
        return None
    percent = _PERCENT.search(numbers[0])
    if percent:
        return numbers[0][: percent.start()] + r"\%"
    unit = re.match(r"(\s*)((?:(?:sq|square|cu|cubic)\.?\s+)?[^\W\d_]+[²³]?)", behind)
    if unit is None:
        return numbers[0]
    if not unit[1] and unit[2].isascii() and not is_unit(unit[2]):
        return None
    name = unit[2].rstrip("²³")
    return numbers[0] + rf"\text{{ {name}}}" + {"²": "^2", "³": "^3"}.get(unit[2][len(name) :], "")


def _raised_unit(unit: re.Match[str]) -> str:
    return unit[1] + {"2": "²", "3": "³"}[unit[2]] if is_unit(unit[1]) else unit[0]


def _with_percent(expression: str, behind: str) -> str:
    return expression + r"\%" if _PERCENT.match(behind) and "%" not in expression else expression


def _after_formula(text: str, end: int) -> str:
    return re.sub(r"^\s*(?:\$\$?|\\\)|\\\])", "", text[end:])
