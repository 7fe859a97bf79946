"""Formulas, boxes and sentences in a text. Every pattern here is linear in the text."""

from __future__ import annotations

import re
from typing import NamedTuple

from lmm_r1.rewards.answers.markup import boxed_spans

_FORMULA = re.compile(
    r"\$\$(?P<display>(?:[^$\\]|\\.)+)\$\$"
    r"|(?<![\\0-9])\$(?![ \t]*\n)(?P<inline>(?:[^$\\\n.?!]|[.?!](?!\s+[A-Z][a-z])|\\.|\n(?![ \t]*\$))+)\$"
    r"|\\\((?![ \t]*\n)(?P<round>(?:[^\\\n]|\\(?![()]))+)\\\)"
    r"|\\\[(?P<square>(?:[^\\]|\\(?![\[\]]))+)\\\]",
    re.DOTALL,
)
_MASK = "\ue000"
_SENTENCE_END = re.compile(r"(?<=[^\s.])[.?](?=\s|$)|(?<=[^\W\d_])!(?=\s|$)|[。！？]|\n")
_JOINED = re.compile(r"""(?:[\s,;"'\\]|\\quad|\\text\s*\{\s*(?:and|or)\s*\}|\b(?:and|or)\b)*""")
_WORD = re.compile(r"[^\W\d_]+")
_LAYOUT = re.compile(r"\\(?:quad|qquad|text|mathrm|textbf)\b")
_WORDS_BETWEEN_BOXES = 4


class Span(NamedTuple):
    """A box or formula: where it stands and what is in it."""

    start: int
    end: int
    body: str


def last_sentence(text: str) -> str:
    """The last sentence that has a formula or a digit in it."""
    blotted = without_formulas(text)
    ends = [0, *(match.end() for match in _SENTENCE_END.finditer(blotted)), len(text)]
    for start, end in zip(reversed(ends[:-1]), reversed(ends[1:]), strict=True):
        if re.search(rf"[0-9{_MASK}]", blotted[start:end]):
            return text[start:end].strip()
    return text


def sentence_from(text: str, blotted: str, start: int) -> str:
    """The text from `start` to the end of its sentence; `blotted` is the text without formulas."""
    while start < len(text) and text[start] in " *\n\t":
        start += 1
    end = _SENTENCE_END.search(blotted, start)
    if end is None:
        return text[start:].strip(" *\n\t")
    formula_ends = blotted[end.start()] == "." != text[end.start()]  # with a full stop before its closing dollar
    return text[start : end.end() if formula_ends else end.start()].strip(" *\n\t")


def without_formulas(text: str) -> str:
    """The text with its formulas blotted out, so that words and full stops inside them do not count.

    A full stop at the end of a formula ends the sentence around it, and stays.
    """
    return _FORMULA.sub(_blot, text)


def _blot(formula: re.Match[str]) -> str:
    ends_sentence = formula.group().rstrip("$)]\\ \n").endswith(".")
    return _MASK * (len(formula.group()) - 1) + ("." if ends_sentence else _MASK)


def formulas_of(text: str) -> list[Span]:
    """Each formula between dollars or LaTeX's brackets, in reading order."""
    return [Span(m.start(), m.end(), next(g for g in m.groups() if g is not None)) for m in _FORMULA.finditer(text)]


def last_formulas(text: str) -> list[Span]:
    """The last formula, with those before it that only commas, "and" or "or" join to it."""
    formulas = formulas_of(text)
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


def joined(spans: list[Span]) -> str:
    """One list of what is in them, each once."""
    return ", ".join(dict.fromkeys(span.body.strip() for span in spans))
