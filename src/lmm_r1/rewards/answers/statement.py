"""Which part of a text is the answer it states: a box, a formula, or a number among words.

The choice never depends on the gold, so a text that offers several candidates has committed to one of them, or to a
list of all, before anything is compared. Every pattern here is linear in the text.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from lmm_r1.rewards.answers.markup import bare, boxed_spans
from lmm_r1.rewards.answers.number import without_separators

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
_COPULA = re.compile(
    r"(?:\b(?:is|are|was|were|equals|est)\b|\bit['’]s\b|(?<![<>!:=])=(?!=)|:|[是为：])\s*(?:(?:about|exactly|just)\s)?",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[^\s.])[.!?](?=\s|$)|[。！？]|\n")
_JOINED = re.compile(r"""(?:[\s,;"'\\]|\\quad|\\text\s*\{\s*(?:and|or)\s*\}|\b(?:and|or)\b)*""")
_WORD = re.compile(r"[^\W\d_]+")
_WORDS_BETWEEN_BOXES = 4
_NUMBER = re.compile(
    r"(?<![0-9A-Za-z_.\\/^*(])[+-]?[$€£¥₹]?(?:[0-9]+\s+[0-9]+/[0-9]+|[0-9]+(?:\.[0-9]+)?(?:/[0-9]+)?|\.[0-9]+)"
    r"(?:\s*(?:\\?%|percent(?:age)?\b|pct\b))?(?![0-9_/^*!\\(²³]|\.[0-9]|[A-Za-z](?![A-Za-z²³]))"
)
_PERCENT = re.compile(r"\s*(?:\\?%|percent(?:age)?\b|pct\b)")
_SPEECH = re.compile(r"(?:[^\W\d_]+(?:['’-][^\W\d_]+)*|[\s.,;:?!$€£¥₹²³\"'“”()\[\]*-])*")
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
    last formula with no number behind it; else the whole text. Boxes in one sentence at most four words apart are one
    list.
    """
    boxes = _last_boxes(text)
    masked = _masked(text)
    announced = [(match, _sentence(text, masked, match.end())) for match in _ANNOUNCEMENT.finditer(masked)]
    announced = [(match, sentence) for match, sentence in announced if sentence]
    if boxes:
        later = [sentence for match, sentence in announced if match["final"] and match.start() > boxes[-1].end]
        later = [sentence for sentence in later if _formulas(sentence) or _NUMBER.search(sentence)]
        return later[-1] if later else _joined(boxes)
    if announced:
        return announced[-1][1]
    formulas = _last_formulas(text)
    if formulas and not re.search(r"[0-9]|%", text[formulas[-1].end :]):
        return _joined(formulas)
    return text


def stated_expression(text: str) -> str | None:
    """The one expression or list of expressions that a text states; None where what it states is broken."""
    text = bare(text)
    if boxes := _last_boxes(text):
        return _with_percent(_joined(boxes), _after_formula(text, boxes[-1].end))
    if _BROKEN_INLINE.search(text):
        return None
    if not _formulas(text) and not _is_prose(text):
        return text
    return _stated_in_prose(final_statement(text)) or _stated_in_prose(_last_sentence(text)) or text


def _is_prose(text: str) -> bool:
    without_commands = re.sub(r"\\[A-Za-z]+(?:\s*\{[^{}]*\})?", " ", text)
    return re.search(r"[^\W\d_]{2,}|[^\W\d_a-zA-Z]", without_commands) is not None


def _stated_in_prose(sentence: str) -> str | None:
    """The expression after the last "is" of a sentence, or the only one in it."""
    masked = _masked(sentence)
    copulas = [match.end() for match in _COPULA.finditer(masked)]
    for start in (*reversed(copulas[-1:]), 0):
        clause = sentence[start:].strip()
        if _formulas(clause):
            return _formula_in_clause(clause)
        if not _is_prose(clause) and re.search(r"[0-9]", clause):
            return bare(clause)
        if (number := number_among_words(clause)) is not None:
            return number
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
    text = without_separators(text)
    numbers = [match.group() for match in _NUMBER.finditer(text)]
    if len(numbers) != 1:
        return None
    before, _, behind = text.partition(numbers[0])
    if not _SPEECH.fullmatch(before + " " + behind) or _CHANGES_THE_VALUE.search(before + " " + behind):
        return None
    percent = _PERCENT.search(numbers[0])
    if percent:
        return numbers[0][: percent.start()] + r"\%"
    unit = re.match(r"\s*([^\W\d_]+[²³]?)", behind)
    return numbers[0] + (rf"\text{{ {unit[1]}}}" if unit else "")


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
    """The text with its formulas blotted out, so that words and full stops inside them do not count."""
    return _FORMULA.sub(lambda formula: _MASK * len(formula.group()), text)


def _formulas(text: str) -> list[Span]:
    return [Span(m.start(), m.end(), next(g for g in m.groups() if g is not None)) for m in _FORMULA.finditer(text)]


def _last_formulas(text: str) -> list[Span]:
    """The last formula, with those before it that only commas, "and" or "or" join to it."""
    formulas = _formulas(text)
    first = len(formulas) - 1
    while first > 0 and _JOINED.fullmatch(text[formulas[first - 1].end : formulas[first].start]):
        first -= 1
    return formulas[max(first, 0) :]


def _last_boxes(text: str) -> list[Span]:
    """The last box, with those before it in the same sentence and at most four words away."""
    boxes = [Span(*span) for span in boxed_spans(text)]
    first = len(boxes) - 1
    while first > 0 and _one_list(text[boxes[first - 1].end : boxes[first].start]):
        first -= 1
    return boxes[max(first, 0) :]


def _one_list(between: str) -> bool:
    words = re.sub(r"\\(?:quad|qquad|text|mathrm|textbf)\b", " ", between)
    return not _SENTENCE_END.search(words) and len(_WORD.findall(words)) <= _WORDS_BETWEEN_BOXES


def _joined(spans: list[Span]) -> str:
    return ", ".join(dict.fromkeys(span.body.strip() for span in spans))
