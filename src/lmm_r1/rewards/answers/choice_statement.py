"""Where a text says which option it picks.

Letters stand everywhere in prose and formulas: A is an article, C a capacitance. So a letter counts only where the text
says that it is the answer, and the last such place counts. Every pattern here is linear in the text.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from lmm_r1.rewards.answers.announcement import ANNOUNCEMENT
from lmm_r1.rewards.answers.spans import last_boxes

_WEAK = re.compile(
    r"(?<!#)####(?!#)|(?<![不可能])[选選](?![项項])(?:择|擇)?\s*[:：]?"
    r"|\b(?:choose|chose|choosing|pick|picking|select|selecting|go\s+with|going\s+with)\b\s*:?"
    r"|(?:^|(?<=[.!?\n]))[ *]{0,4}(?:so|thus|therefore|hence)\b,?(?:\s+it(?:['’]s|\s+is|\s+must\s+be)\b)?",
    re.IGNORECASE,
)
"""What follows is the answer if it is a letter and nothing else."""

_VERDICT = re.compile(
    r"(?:^|(?<=[\n.!?:]))[ *]{0,4}(?:(?i:so|thus|therefore|hence),?[ ])?(?:(?i:option|choice|answer)[ ])?"
    r"[(\[]?(?P<letter>[A-Z])[)\]]?[ ]is[ ](?:the[ ])?(?:only[ ])?(?:correct|right|best)\b"
    r"(?:[ ](?:answer|option|choice|one))?(?=[.!*]*\s|[.!*]*$|,)"
    r"|(?:^|(?<=[\s。！？；，]))(?:所以|因此|故)?(?:选项|選項)?[ ]?"
    r"(?P<chinese>[A-Z])[ ]?[项項]?是?(?:正确|正確)(?=[的。！，\s]|$)",
)
_OPENING = r"[\s$*_`\"'“”(\[{（【「\\]{0,12}"
_CLOSING = r"[$*_`\"'“”)\]}）】」]{0,12}"
WRAPPED_LETTER = (
    rf"{_OPENING}(?:(?i:(?:the\s+)?(?:option|choice|letter))(?![A-Za-z])|选项|選項)?{_OPENING}"
    rf"(?P<letter>[A-Za-z])(?P<closed>{_CLOSING})"
)
"""A letter in brackets, quotes and markup, perhaps with the word "option"; the start of a regular expression."""

_LETTER_FIRST = re.compile(
    rf"{WRAPPED_LETTER}(?:[.。!！]?{_CLOSING}(?:\s*$|(?<=[.。!！*])\s)|,?\s*(?:because|since)\b|[,，]?\s*因)"
)
_LETTER_ALONE = re.compile(rf"{WRAPPED_LETTER}[.。!！)]{{0,3}}{_CLOSING}\s*")
_SPACE = re.compile(r"[ *\n\t]*")
_LONGEST = 512
"""Characters of a line that are read: more than any option has."""
_MOST_READ = 8
"""Of each kind, from the end; a bound, so that a text of nothing but announcements costs no more than any other."""


class Pick(NamedTuple):
    """The words that pick an option, and where they and their announcement stand."""

    start: int
    end: int
    said: str
    announced: bool = True


def picked(text: str) -> Pick:
    """What the text says that its option is: the last box, or what a later announcement says; else the last line where
    that is a letter; else the whole text, which nothing announces.
    """
    found = [_line(text, match) for match in [*ANNOUNCEMENT.finditer(text)][-_MOST_READ:]]
    found += _unless_headings([_line(text, match) for match in [*_WEAK.finditer(text)][-_MOST_READ:]], text)
    found += [
        Pick(match.start(), match.end(), match["letter"] or match["chinese"])
        for match in [*_VERDICT.finditer(text)][-_MOST_READ:]
    ]
    if boxes := last_boxes(text):
        found = [pick for pick in found if pick.start > boxes[-1].end and _capital_first(pick.said)]
        said = ", ".join(dict.fromkeys(box.body.strip() for box in boxes))
        found.append(Pick(boxes[0].start, boxes[-1].end, said))
    if found:
        return max(found)
    before, _, last = text.rstrip().rpartition("\n")
    if _LETTER_ALONE.fullmatch(last) and before.rstrip(" *\n").endswith((".", ":", "!", "?", "。", "：", "！", "？")):
        return Pick(len(before) + 1, len(text), last)
    return Pick(0, len(text), text, announced=False)


def choice_statement(text: str) -> str:
    """The part of a text that picks an option, with the words that announce it."""
    pick = picked(text)
    return text[pick.start : pick.end].strip()


def _line(text: str, announcement: re.Match[str]) -> Pick:
    """What stands behind an announcement in its line, or in the next line that is not empty."""
    start = _SPACE.match(text, announcement.end()).end()
    end = text.find("\n", start)
    end = min(len(text) if end < 0 else end, start + _LONGEST)
    return Pick(announcement.start(), end, text[start:end].rstrip())


def _unless_headings(picks: list[Pick], text: str) -> list[Pick]:
    """Those that a capital letter follows; `####` in front of several letters are headings."""
    picks = [pick for pick in picks if _capital_first(pick.said)]
    marked = {pick.said for pick in picks if text.startswith("#", pick.start)}
    return [pick for pick in picks if len(marked) < 2 or not text.startswith("#", pick.start)]


def _capital_first(said: str) -> bool:
    """Whether the words begin with a capital letter that is all they say, but for a reason."""
    letter = _LETTER_FIRST.match(said)
    return letter is not None and letter["letter"].isupper()
