"""Problems from a file of one's own: JSONL or parquet, text or pictures."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmm_r1.answer_rules import ANSWER_TYPES, EXACT, AnswerRules, known_answer_type
from lmm_r1.data.pictures import Picture, decode, find_pictures
from lmm_r1.data.rows import BadRowError, Row, field, read_rows
from lmm_r1.errors import UserError
from lmm_r1.types import IMAGE_MARKER, Problem

log = logging.getLogger(__name__)

LISTED = 20
"""Bad rows that the message lists one by one."""


@dataclass(frozen=True)
class BadRow:
    """A row that was left out."""

    line: int
    """From 1; in a parquet file the number of the row."""
    reason: str


@dataclass(frozen=True)
class Entry:
    """A usable row, its pictures still encoded."""

    line: int
    id: str
    question: str
    answer: str
    choices: tuple[str, ...]
    family: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Gold:
    """What an audit of the golds needs of a row, without its pictures."""

    answer: str
    answer_type: str
    choices: tuple[str, ...]
    rules: AnswerRules


@dataclass(frozen=True)
class Fields:
    """What the columns are called; `a.b` is the field `b` inside the map `a`."""

    question: str
    answer: str
    image: str
    choices: str | None
    family: str | None
    id: str | None


class LocalDataset:
    """The problems of one JSONL or parquet file.

    Rows that cannot be used are left out, counted by reason in one warning, and kept in `bad_rows`. Pictures are
    decoded when a problem is asked for.

    Args:
        path: the file; picture paths in it are relative to its folder.
        image_field: a path, embedded bytes, a map of `bytes` and `path`, or a list of these. Rows without it are
            problems in text. A question without `<image>` gets its markers in front.
        answer_type: one of `ANSWER_TYPES`, or the dotted name of a judge of one's own.
        rules: how near an answer must come to its gold.
        answer_pattern: a regular expression whose first group is the gold answer within the field, e.g.
            `"####\\\\s*(.+)$"` for GSM8K; the last match counts.
        source: the name for metrics; the file's name where it is not given.
        start: the first usable row to take, from 0.
        stop: the usable row to stop before; None takes all.

    Raises:
        UserError: when the file, a setting, or every row is unusable.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        question_field: str = "question",
        answer_field: str = "answer",
        image_field: str = "image",
        choices_field: str | None = None,
        family_field: str | None = None,
        id_field: str | None = None,
        answer_type: str = "math",
        rules: AnswerRules = EXACT,
        answer_pattern: str | None = None,
        source: str | None = None,
        start: int = 0,
        stop: int | None = None,
    ) -> None:
        self.path = Path(path).expanduser()
        self.answer_type = _known_answer_type(answer_type)
        self.rules = rules
        self.source = source or self.path.stem
        self.bad_rows: list[BadRow] = []
        fields = Fields(question_field, answer_field, image_field, choices_field, family_field, id_field)
        entries = self._load(fields, _compiled(answer_pattern))
        self._entries = entries[_checked_slice(start, stop, len(entries), self.path)]

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Problem:
        entry = self._entries[index]
        images = tuple(decode(picture, self._name(entry, picture)) for picture in entry.pictures)
        return Problem(
            id=entry.id,
            question=entry.question,
            answer=entry.answer,
            answer_type=self.answer_type,
            images=images,
            choices=entry.choices,
            source=self.source,
            family=entry.family,
            rendering="image" if images else "text_only",
            rules=self.rules,
        )

    def golds(self) -> list[Gold]:
        """The gold of every problem, in order; no picture is decoded."""
        return [Gold(entry.answer, self.answer_type, entry.choices, self.rules) for entry in self._entries]

    def line(self, index: int) -> int:
        """The line of the file, from 1, that a problem comes from."""
        return self._entries[index].line

    def _name(self, entry: Entry, picture: Picture) -> str:
        return f"the picture in row {entry.line} of {self.path}" if isinstance(picture, bytes) else str(picture)

    def _load(self, fields: Fields, pattern: re.Pattern[str] | None) -> list[Entry]:
        entries: list[Entry] = []
        ids: set[str] = set()
        names: set[str] = set()
        for line, row in read_rows(self.path):
            try:
                if isinstance(row, BadRowError):
                    raise row
                names.update(row)
                entries.append(self._entry(line, row, fields, pattern, ids))
                ids.add(entries[-1].id)
            except BadRowError as error:
                self.bad_rows.append(BadRow(line, str(error)))
        if not entries:
            found = f"; fields found: {', '.join(sorted(names))}" if names else ""
            complaint = self._complaint() if self.bad_rows else "the file is empty"
            raise UserError(f"dataset.path={self.path}: no usable row: {complaint}{found}")
        if self.bad_rows:
            log.warning("%s: %s", self.path, self._complaint())
        _check_image_field(fields.image, names)
        return entries

    def _entry(self, line: int, row: Row, fields: Fields, pattern: re.Pattern[str] | None, ids: set[str]) -> Entry:
        pictures = find_pictures(field(row, fields.image), self.path.parent)
        question = _text(row, fields.question)
        identity = _optional_text(row, fields.id) or f"{self.path.stem}-{line}"
        return Entry(
            line=line,
            id=identity if identity not in ids else f"{identity}-line-{line}",
            question=_with_markers(question, len(pictures)),
            answer=_gold(_text(row, fields.answer), pattern),
            choices=_choices(field(row, fields.choices)) if fields.choices else (),
            family=_optional_text(row, fields.family),
            pictures=pictures,
        )

    def _complaint(self) -> str:
        """How many rows were left out, why, and which."""
        counts = Counter(bad.reason for bad in self.bad_rows)
        lines: dict[str, list[str]] = {reason: [] for reason in counts}
        for bad in self.bad_rows[:LISTED]:
            lines[bad.reason].append(str(bad.line))
        reasons = [
            f"{reason} ({count}" + (f": line {', '.join(lines[reason])}" if lines[reason] else "") + ")"
            for reason, count in counts.most_common()
        ]
        unlisted = ", …" if len(self.bad_rows) > LISTED else ""
        return f"left out {len(self.bad_rows)} rows: {', '.join(reasons)}{unlisted}"


def _text(row: Row, name: str) -> str:
    """A field as text; numbers and truth values are written out; a list of one is its entry, a table's NaN a null."""
    value = field(row, name)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None or value != value:
        raise BadRowError(f"{name} is null" if name in row else f"no field {name}")
    if not isinstance(value, str | int | float):
        raise BadRowError(f"{name} is a {type(value).__name__}")
    text = str(value).strip()
    if not text:
        raise BadRowError(f"{name} is empty")
    return text


def _optional_text(row: Row, name: str | None) -> str:
    value = field(row, name) if name else None
    return "" if value is None else str(value)


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
    return tuple(str(option) for option in options)


def _with_markers(question: str, pictures: int) -> str:
    markers = question.count(IMAGE_MARKER)
    if markers == pictures:
        return question
    if markers:
        raise BadRowError(f"{markers} {IMAGE_MARKER} for {pictures} pictures")
    return IMAGE_MARKER * pictures + question


def _known_answer_type(answer_type: str) -> str:
    if not known_answer_type(answer_type):
        raise UserError(
            f"dataset.answer_type={answer_type}: choose one of {', '.join(ANSWER_TYPES)}, or name a judge of your own "
            "as module.function"
        )
    return answer_type


def _compiled(answer_pattern: str | None) -> re.Pattern[str] | None:
    if answer_pattern is None:
        return None
    try:
        pattern = re.compile(answer_pattern)
    except re.error as error:
        raise UserError(f"dataset.answer_pattern={answer_pattern}: {error}") from error
    if pattern.groups != 1:
        raise UserError(f"dataset.answer_pattern={answer_pattern}: put one group ( ) around the gold answer")
    return pattern


def _checked_slice(start: int, stop: int | None, rows: int, path: Path) -> slice:
    if start < 0 or (stop is not None and stop < 0):
        raise UserError(f"start={start}, stop={stop} of {path}: count rows from 0, not from the end")
    if not range(rows)[start:stop]:
        raise UserError(f"start={start}, stop={stop} of {path}: leaves no row of its {rows} usable ones")
    return slice(start, stop)


def _check_image_field(name: str, names: set[str]) -> None:
    """A field that was asked for by name and is nowhere is a slip; the default name may be absent."""
    if name != "image" and name.partition(".")[0] not in names:
        raise UserError(f"dataset.image_field={name}: no row has it; there are {', '.join(sorted(names))}")
