"""Which part of a text is the answer it states: a box, a formula, or a number among words.

The choice never depends on the gold, so a text that offers several candidates has committed to one of them, or to a
list of all, before anything is compared. Every pattern here is linear in the text.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from lmm_r1.rewards.answers.amounts import with_currencies_behind, with_digits
from lmm_r1.rewards.answers.bases import with_bases
from lmm_r1.rewards.answers.markup import bare, boxed_spans
from lmm_r1.rewards.answers.notation import in_latex
from lmm_r1.rewards.answers.number import without_separators
from lmm_r1.rewards.answers.programs import FUNCTIONS, GREEK
from lmm_r1.rewards.answers.units import is_unit

_FORMULA = re.compile(
    r"\$\$(?P<display>(?:[^$\\]|\\.)+)\$\$"
    r"|(?<![\\0-9])\$(?![ \t]*\n)(?P<inline>(?:[^$\\\n]|\\.|\n(?![ \t]*\$))+)\$"
    r"|\\\((?![ \t]*\n)(?P<round>(?:[^\\\n]|\\(?![()]))+)\\\)"
    r"|\\\[(?P<square>(?:[^\\]|\\(?![\[\]]))+)\\\]",
    re.DOTALL,
)
_BROKEN_INLINE = re.compile(r"(?:(?<![\\$])\$|\\\()[ \t]*\n[^$]*(?:\$|\\\))")
_MASK = "\ue000"
_ANNOUNCEMENT = re.compile(
    r"(?:\b(?P<final>final\s+)?answer\b(?!\s+is\s+(?:not|wrong)\b)[^.\n:$\\0-9\ue000]{0,60}?(?:\s(?:is|are)\b|:)\s*:?"
    r"|(?:答案|réponse|respuesta|antwort|ответ)\s*(?:是|为|est|es|ist)?\s*[:：]?)",
    re.IGNORECASE,
)
_ANNOUNCEMENTS_READ = 8
"""From the end; a bound, so that a text of nothing but announcements costs no more than any other."""

_COPULA = re.compile(
    r"(?:\b(?:is|are|was|were|equals|est)\b|\bit['’]s\b|(?<![<>!:=])=(?!=)|:|(?<!不)[是为]|：)\s*(?:(?:about|exactly|just)\s)?",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[^\s.])[.?](?=\s|$)|(?<=[^\W\d_])!(?=\s|$)|[。！？]|\n")
_JOINED = re.compile(r"""(?:[\s,;"'\\]|\\quad|\\text\s*\{\s*(?:and|or)\s*\}|\b(?:and|or)\b)*""")
_WORD = re.compile(r"[^\W\d_]+")
_LAYOUT = re.compile(r"\\(?:quad|qquad|text|mathrm|textbf)\b")
_WORDS_BETWEEN_BOXES = 4
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
    r"times|dozen|hundred|thousand|million|billion|trillion|squared|cubed|over|plus|divided|root|pi|sqrt|sin|cos|tan|"
    r"log|ln|exp|inf|infinity|alpha|beta|theta|sum|infinite|factorial)\b|n['’]t\b|[不没非百千万亿半]|[π∞√]",
    re.IGNORECASE,
)


class Span(NamedTuple):
    """A box or formula: where it stands and what is in it."""

    start: int
    end: int
    body: str


def final_statement(text: str) -> str:
    """The end of a response where its answer is, for any type of answer.

    The last boxes; or what a later "final answer is" announces; else what the last "answer is" announces; else the
    last formula with no number behind it; else the whole text. Boxes or formulas joined by "and", "or" or a comma are
    one list.
    """
    boxes = last_boxes(text)
    masked = _masked(text)
    announcements = list(_ANNOUNCEMENT.finditer(masked))[-_ANNOUNCEMENTS_READ:]
    announced = [(match, _sentence(text, masked, match.end())) for match in reversed(announcements)]
    if boxes:
        later = (said for match, said in announced if match["final"] and match.start() > boxes[-1].end)
        return next((said for said in later if _formulas(said) or _NUMBER.search(said)), _joined(boxes))
    if said := next((said for _, said in announced if said), None):
        return said
    formulas = _last_formulas(text)
    if formulas and _stands_alone(text[: formulas[0].start], text[formulas[-1].end :]):
        return _joined(formulas)
    return text


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
        if statement != _joined(boxes):
            return stated_expression(statement)
        return _with_percent(statement, _after_formula(text, boxes[-1].end))
    if _BROKEN_INLINE.search(text):
        return None
    if not _has_words_or_formulas(text):
        return text
    stated = (_stated_in_sentence(sentence) for sentence in (final_statement(text), _last_sentence(text)))
    return next((expression for expression in stated if expression), None if _formulas(text) else text)


def _has_words_or_formulas(text: str) -> bool:
    return bool(_formulas(text)) or _is_prose(text)


def _is_prose(text: str) -> bool:
    """Whether there are words in the text that are no part of an expression."""
    return _PROSE.search(_COMMAND.sub(" ", text)) is not None


def _stated_in_sentence(sentence: str) -> str | None:
    """The expression after the last "is" of a sentence, or the only one in it."""
    if not _has_words_or_formulas(sentence):
        return bare(sentence)
    masked = _masked(sentence)
    copulas = [match.end() for match in _COPULA.finditer(masked)]
    for start in (*reversed(copulas[-1:]), 0):
        clause = sentence[start:].strip()
        if _formulas(clause):
            return _formula_in_clause(clause)
        if (number := number_among_words(clause)) is not None:
            return number
        if not _is_prose(clause) and re.search(r"[0-9]", clause):
            return bare(clause)
    return None


def _formula_in_clause(clause: str) -> str | None:
    formulas = _last_formulas(clause)
    behind = clause[formulas[-1].end :]
    around = clause[: formulas[0].start] + " " + behind
    if _CHANGES_THE_VALUE.search(_PERCENT.sub(" ", re.sub(r"\$", " ", _masked(around)))):
        return None
    if _NUMBER.search(without_separators(behind)):
        return None
    return _with_percent(_joined(formulas), behind)


def number_among_words(text: str) -> str | None:
    """The only number among words, `5` of "5 apples" or "5厘米"; None where the words may change its meaning."""
    text = _POWER_OF_UNIT.sub(_raised_unit, without_separators(text))
    numbers = [match.group() for match in _NUMBER.finditer(text)]
    if len(numbers) != 1 or any(unicodedata.category(character) in ("No", "Nl") for character in _ODD.findall(text)):
        return None
    before, _, behind = text.partition(numbers[0])
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


def _last_sentence(text: str) -> str:
    """The last sentence that has a formula or a digit in it."""
    masked = _masked(text)
    ends = [0, *(match.end() for match in _SENTENCE_END.finditer(masked)), len(text)]
    for start, end in zip(reversed(ends[:-1]), reversed(ends[1:]), strict=True):
        if re.search(rf"[0-9{_MASK}]", masked[start:end]):
            return text[start:end].strip()
    return text


def _sentence(text: str, masked: str, start: int) -> str:
    """The text from `start` to the end of its sentence."""
    while start < len(text) and text[start] in " *\n\t":
        start += 1
    end = _SENTENCE_END.search(masked, start)
    return text[start : end.start() if end else len(text)].strip(" *\n\t")


def _masked(text: str) -> str:
    """The text with its formulas blotted out, so that words and full stops inside them do not count.

    A full stop at the end of a formula ends the sentence around it, and stays.
    """
    return _FORMULA.sub(_blot, text)


def _blot(formula: re.Match[str]) -> str:
    ends_sentence = formula.group().rstrip("$)]\\ \n").endswith(".")
    return _MASK * (len(formula.group()) - 1) + ("." if ends_sentence else _MASK)


def _formulas(text: str) -> list[Span]:
    return [Span(m.start(), m.end(), next(g for g in m.groups() if g is not None)) for m in _FORMULA.finditer(text)]


def _last_formulas(text: str) -> list[Span]:
    """The last formula, with those before it that only commas, "and" or "or" join to it."""
    formulas = _formulas(text)
    first = len(formulas) - 1
    while first > 0 and _JOINED.fullmatch(text[formulas[first - 1].end : formulas[first].start]):
        first -= 1
    return formulas[max(first, 0) :]


def last_boxes(text: str) -> list[Span]:
    """The last box, with those before it that "and", "or" or punctuation joins to it."""
    boxes = [Span(*span) for span in boxed_spans(text)]
    first = len(boxes) - 1
    while first > 0 and _one_list(text, boxes[first - 1].end, boxes[first].start):
        first -= 1
    return boxes[max(first, 0) :]


def _one_list(text: str, start: int, end: int) -> bool:
    """Whether two boxes with this between them are one list: nothing but punctuation, or "papers and"."""
    if _SENTENCE_END.search(text, start, end):
        return False
    words = [word.lower() for word in _WORD.findall(_LAYOUT.sub(" ", text[start:end])) if len(word) > 1]
    return not words or (len(words) <= _WORDS_BETWEEN_BOXES and words[-1] in ("and", "or"))


def _joined(spans: list[Span]) -> str:
    return ", ".join(dict.fromkeys(span.body.strip() for span in spans))
