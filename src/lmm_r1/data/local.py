"""Problems from a file of one's own: JSONL or parquet, text or pictures."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from lmm_r1.answer_rules import ANSWER_TYPES, EXACT, AnswerRules, known_answer_type
from lmm_r1.data.entries import Entry, Fields, entry_of
from lmm_r1.data.headers import identity, stored_size
from lmm_r1.data.pictures import Picture, decode
from lmm_r1.data.rows import read_rows
from lmm_r1.errors import BadRowError, UserError
from lmm_r1.types import Outline, Problem

log = logging.getLogger(__name__)

LISTED = 20
"""Bad rows that the message lists one by one."""

SLICE_KEYS = {"dataset": ("train_start", "train_stop"), "benchmark": ("start", "stop")}
"""What the configuration calls `start` and `stop`, by group."""


@dataclass(frozen=True)
class BadRow:
    """A row that was left out."""

    line: int
    """From 1; in a parquet file the number of the row."""
    reason: str
    """In the words that all rows of its kind share."""
    detail: str = ""
    """What is bad about this one."""


@dataclass(frozen=True)
class Gold:
    """What an audit of the golds needs of a row, without its pictures."""

    answer: str
    answer_type: str
    choices: tuple[str, ...]
    rules: AnswerRules


class LocalDataset:
    """The problems of one JSONL or parquet file.

    Rows that cannot be used are left out, counted by reason in one warning, and kept in `bad_rows`. Pictures are
    decoded when a problem is asked for; one that cannot be raises `BadRowError`.

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
        group: the group of the configuration that these options stand in, for messages.

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
        group: str = "dataset",
    ) -> None:
        self.path = Path(path).expanduser()
        self.group = group
        self.answer_type = _known_answer_type(answer_type, group)
        self.rules = rules
        self.source = source or self.path.stem
        self.bad_rows: list[BadRow] = []
        fields = Fields(question_field, answer_field, image_field, choices_field, family_field, id_field)
        entries = self._load(fields, _compiled(answer_pattern, group))
        self._entries = self._slice(entries, start, stop)
        if self.bad_rows:
            log.warning("%s: %s", self.path, self._complaint())

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Problem:
        entry = self._entries[index]
        images = tuple(self._decoded(entry, picture) for picture in entry.pictures)
        return replace(self._problem(entry), images=images)

    def outline(self, index: int) -> Outline:
        """The problem without its pictures, and their sizes. Raises BadRowError where a picture's header is bad."""
        entry = self._entries[index]
        sizes = tuple(stored_size(picture, self._name(entry, picture)) for picture in entry.pictures)
        return Outline(self._problem(entry), sizes)

    def golds(self) -> list[Gold]:
        """The gold of every problem, in order; no picture is decoded."""
        return [Gold(entry.answer, self.answer_type, entry.choices, self.rules) for entry in self._entries]

    def line(self, index: int) -> int:
        """The line of the file, from 1, that a problem comes from."""
        return self._entries[index].line

    def location(self, index: int) -> tuple[str, int]:
        """The file and the line that a problem comes from."""
        return str(self.path), self.line(index)

    def order_keys(self) -> list[str]:
        """For each problem a name that stays when other rows of the file come or go: what the row says."""
        return [_digest(self._content(entry)) for entry in self._entries]

    def fingerprint(self) -> str:
        """SHA-256 over what the problems say and what their pictures are called; a picture may be mended in between."""
        return _digest([self._content(entry) for entry in self._entries])

    def _problem(self, entry: Entry) -> Problem:
        """Without its pictures."""
        return Problem(
            id=entry.id,
            question=entry.question,
            answer=entry.answer,
            answer_type=self.answer_type,
            choices=entry.choices,
            source=self.source,
            family=entry.family,
            rendering="image" if entry.pictures else "text_only",
            rules=self.rules,
        )

    def _decoded(self, entry: Entry, picture: Picture) -> Image.Image:
        try:
            return decode(picture, self._name(entry, picture))
        except BadRowError:
            raise
        except UserError as error:
            raise BadRowError("picture that cannot be read", str(error)) from error

    def _name(self, entry: Entry, picture: Picture) -> str:
        return f"the picture in row {entry.line} of {self.path}" if isinstance(picture, bytes) else str(picture)

    def _content(self, entry: Entry) -> list[str]:
        """What a row says, wherever its file lies and on whatever line it stands."""
        pictures = [
            identity(picture) if isinstance(picture, bytes) else os.path.relpath(picture, self.path.parent)
            for picture in entry.pictures
        ]
        return [entry.question, entry.answer, *entry.choices, *pictures]

    def _load(self, fields: Fields, pattern: re.Pattern[str] | None) -> list[Entry]:
        entries: list[Entry] = []
        ids: set[str] = set()
        names: set[str] = set()
        for line, row in read_rows(self.path, f"{self.group}.path"):
            try:
                if isinstance(row, BadRowError):
                    raise row
                names.update(row)
                entry = entry_of(row, line, fields, pattern, self.path)
                entries.append(entry if entry.id not in ids else replace(entry, id=f"{entry.id}-line-{line}"))
                ids.add(entries[-1].id)
            except BadRowError as error:
                self.bad_rows.append(BadRow(line, error.reason, error.detail))
        if not entries:
            found = f"; fields found: {', '.join(sorted(names))}" if names else ""
            complaint = self._complaint() if self.bad_rows else "the file is empty"
            raise UserError(f"{self.group}.path={self.path}: no usable row: {complaint}{found}")
        self._check_image_field(fields.image, names)
        return entries

    def _slice(self, entries: list[Entry], start: int, stop: int | None) -> list[Entry]:
        """The entries to take. Of the bad rows those that stand before one of them, or at the end, are kept."""
        first, last = SLICE_KEYS.get(self.group, ("start", "stop"))
        end = "null" if stop is None else stop
        bounds = f"{self.group}.{first}={start}, {self.group}.{last}={end} of {self.path}"
        if start < 0 or (stop is not None and stop < 0):
            raise UserError(f"{bounds}: count rows from 0, not from the end")
        taken = entries[start:stop]
        if not taken:
            raise UserError(f"{bounds}: leaves no row of its {len(entries)} usable ones; {self._cure(start)}")
        above = entries[start - 1].line if start else 0
        below = entries[stop - 1].line if stop is not None and stop < len(entries) else math.inf
        self.bad_rows = [bad for bad in self.bad_rows if above < bad.line < below]
        return taken

    def _cure(self, start: int) -> str:
        if self.group != "dataset":
            return "take others"
        return (
            "lower dataset.validation_size, the rows from the top that validation has, and dataset.train_start, which "
            "follows it; or give validation a file of its own with dataset.validation_path"
        )

    def _complaint(self) -> str:
        """How many rows were left out, why, and which."""
        counts = Counter(bad.reason for bad in self.bad_rows)
        lines: dict[str, list[str]] = {reason: [] for reason in counts}
        for bad in self.bad_rows[:LISTED]:
            lines[bad.reason].append(str(bad.line))
        details = {bad.reason: bad.detail for bad in reversed(self.bad_rows)}
        reasons = [
            f"{reason} ({count}"
            + (f": line {', '.join(lines[reason])}" if lines[reason] else "")
            + ")"
            + (f", the first {details[reason]}" if details[reason] else "")
            for reason, count in counts.most_common()
        ]
        unlisted = ", …" if len(self.bad_rows) > LISTED else ""
        return f"left out {len(self.bad_rows)} rows: {', '.join(reasons)}{unlisted}"

    def _check_image_field(self, name: str, names: set[str]) -> None:
        """A field that was asked for by name and is nowhere is a slip; the default name may be absent."""
        if name != "image" and name.partition(".")[0] not in names:
            raise UserError(f"{self.group}.image_field={name}: no row has it; there are {', '.join(sorted(names))}")


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _known_answer_type(answer_type: str, group: str) -> str:
    if not known_answer_type(answer_type):
        raise UserError(
            f"{group}.answer_type={answer_type}: choose one of {', '.join(ANSWER_TYPES)}, or name a judge of your own "
            "as module.function"
        )
    return answer_type


def _compiled(answer_pattern: str | None, group: str) -> re.Pattern[str] | None:
    if answer_pattern is None:
        return None
    try:
        pattern = re.compile(answer_pattern)
    except re.error as error:
        raise UserError(f"{group}.answer_pattern={answer_pattern}: {error}") from error
    if pattern.groups != 1:
        raise UserError(f"{group}.answer_pattern={answer_pattern}: put one group ( ) around the gold answer")
    return pattern
