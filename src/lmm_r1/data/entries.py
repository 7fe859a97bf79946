"""From a row of a file to the entry of a data set: question, gold, choices, and pictures that are still encoded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmm_r1.data.pictures import Picture, find_pictures
from lmm_r1.data.rows import Row, field
from lmm_r1.errors import BadRowError
from lmm_r1.types import IMAGE_MARKER


@dataclass(frozen=True)
class Fields:
    """What the columns are called; `a.b` is the field `b` inside the map `a`."""

    question: str
    answer: str
    image: str
    choices: str | None
    family: str | None
    id: str | None


@dataclass(frozen=True)
class Entry:
    """A usable row, its pictures still encoded."""

    line: int
    """From 1; in a parquet file the number of the row."""
    id: str
    question: str
    answer: str
    choices: tuple[str, ...]
    family: str
    pictures: tuple[Picture, ...]


def entry_of(row: Row, line: int, fields: Fields, pattern: re.Pattern[str] | None, path: Path) -> Entry:
    """Args: `pattern` has a group around the gold within the answer; `path` is the file that the row comes from.

    Raises:
        BadRowError: the row lacks what a problem needs, or has it in a form that cannot be read.
    """
    pictures = find_pictures(field(row, fields.image), path.parent)
    question = _text(row, fields.question)
    return Entry(
        line=line,
        id=_optional_text(row, fields.id) or f"{path.stem}-{line}",
        question=_with_markers(question, len(pictures)),
        answer=_gold(_text(row, fields.answer), pattern),
        choices=_choices(field(row, fields.choices)) if fields.choices else (),
        family=_optional_text(row, fields.family),
        pictures=pictures,
    )


def _text(row: Row, name: str) -> str:
    """A field as text; numbers and truth values are written out; a list of one is its entry, a table's NaN a null."""
    value = field(row, name)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None or value != value:
        raise BadRowError(f"{name} is null" if name in row else f"no field {name}")
    if not isinstance(value, str | int | float):
        raise BadRowError(f"{name} is a {type(value).__name__}")
    text = _whole_characters(str(value).strip(), name)
    if not text:
        raise BadRowError(f"{name} is empty")
    return text


def _optional_text(row: Row, name: str | None) -> str:
    value = field(row, name) if name else None
    return "" if value is None else _whole_characters(str(value), name)


def _whole_characters(text: str, name: str) -> str:
    """JSON can write half a surrogate pair, which no tokenizer and no file in UTF-8 takes."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise BadRowError(f"{name} holds half a character (a lone surrogate)")
    return text


def _gold(answer: str, pattern: re.Pattern[str] | None) -> str:
    if pattern is None:
        return answer
    matches = list(pattern.finditer(answer))
    if not matches or not matches[-1].group(1).strip():
        raise BadRowError("answer_pattern finds nothing")
    return matches[-1].group(1).strip()


def _choices(value: Any) -> tuple[str, ...]:
    options = [value[key] for key in sorted(value)] if isinstance(value, Mapping) else value
    if options is None or options == "":
        return ()
    if not isinstance(options, list):
        raise BadRowError(f"choices are a {type(options).__name__}")
    return tuple(_whole_characters(str(option), "choices") for option in options)


def _with_markers(question: str, pictures: int) -> str:
    markers = question.count(IMAGE_MARKER)
    if markers == pictures:
        return question
    if markers:
        raise BadRowError(f"{markers} {IMAGE_MARKER} for {pictures} pictures")
    return IMAGE_MARKER * pictures + question
