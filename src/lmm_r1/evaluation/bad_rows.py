"""`bad_rows.jsonl`: rows of the data that a run or an evaluation cannot use, each with its file, line and reason."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lmm_r1.atomic_files import write_text
from lmm_r1.errors import BadRowError, UserError
from lmm_r1.rollout.outlines import location_of

log = logging.getLogger(__name__)

BAD_ROWS = "bad_rows.jsonl"
"""In the folder of a run or of an evaluation."""

BEFORE = "before the first step"
"""When most are found; the others when they are read."""


LINES = 10
"""Lines that a message shows of each reason."""
SHOWN = 200
"""Characters of a gold or a fault that a message shows."""


@dataclass(frozen=True)
class ListedRow:
    """One line of `bad_rows.jsonl`."""

    part: str
    """`"training"`, `"validation"` or `"benchmark"`."""
    file: str
    """The data set's file; its class where it has none."""
    line: int
    """From 1."""
    reason: str
    """In the words that all rows of its kind share."""
    detail: str
    """What is bad about this one."""
    found: str
    """`BEFORE`, or the step that would have asked it."""


class BadRowsFile:
    """The list on disk, written anew, as a whole, when it grows."""

    def __init__(self, path: Path | None, rows: Iterable[ListedRow] = ()) -> None:
        """Args: `path` is None in a process that does not write."""
        self.path = path
        self._rows = {(row.part, row.file, row.line): row for row in rows}

    @classmethod
    def opened(cls, path: Path) -> BadRowsFile:
        """With the rows that are listed there already."""
        return cls(path, read_bad_rows(path))

    @property
    def rows(self) -> list[ListedRow]:
        """By part, file and line."""
        return [row for _, row in sorted(self._rows.items())]

    def add(self, rows: Iterable[ListedRow]) -> None:
        """List these too; one that is listed already stays as it is."""
        new = {(row.part, row.file, row.line): row for row in rows}
        self._replace(new | self._rows)

    def remove(self, part: str, locations: Iterable[tuple[str, int]]) -> None:
        """Take rows off the list that could be read after all."""
        gone = {(part, file, line) for file, line in locations}
        self._replace({key: row for key, row in self._rows.items() if key not in gone})

    def _replace(self, rows: dict[tuple[str, str, int], ListedRow]) -> None:
        if rows == self._rows and (self.path is None or self.path.is_file()):
            return
        self._rows = rows
        if self.path is not None:
            lines = [json.dumps(asdict(row), ensure_ascii=False) for row in self.rows]
            write_text(self.path, "".join(f"{line}\n" for line in lines))

    def settle(self, part: str, data: Any, faults: Mapping[int, BadRowError], least: float) -> None:
        """List what is bad of a data set before the first step, say so in one line, and see whether enough is left.

        Args:
            faults: by place; the rows that the data set itself could not read come on top.
            least: the share of all rows that must be usable (`min_usable_share`).

        Raises:
            UserError: it is not.
        """
        unread = [
            ListedRow(part, str(data.path), bad.line, bad.reason, bad.detail, BEFORE)
            for bad in getattr(data, "bad_rows", ())
        ]
        bad, total = [*unread, *listed(part, data, faults, BEFORE)], len(data) + len(unread)
        self.add(bad)
        if not bad:
            return
        group = "benchmark" if part == "benchmark" else "dataset"
        cure = f"mend them, or what {group}.answer_type and {group}.answer_pattern say of them"
        said = f"{part} data, {bad[0].file}: {len(bad)} of {total} rows cannot be used: {_by_reason(bad)}"
        if total - len(bad) < max(1, least * total):
            left = math.floor(1000 * (total - len(bad)) / total) / 1000
            rest = f"or go on with the rest by min_usable_share={left:g}" if total > len(bad) else "nothing is left"
            raise UserError(f"{said}; line {bad[0].line}: {one_line(bad[0].detail or bad[0].reason)}; {cure}; {rest}")
        if self.path is not None:
            log.warning("%s; listed in %s", said, self.path)


def listed(part: str, data: Any, faults: Mapping[int, BadRowError], found: str) -> list[ListedRow]:
    """Faults by place, as rows of the list."""
    return [
        ListedRow(part, *location_of(data, place), fault.reason, fault.detail, found) for place, fault in faults.items()
    ]


def read_bad_rows(path: Path) -> list[ListedRow]:
    """The rows of a list; none where there is no list."""
    if not path.is_file():
        return []
    return [ListedRow(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def one_line(text: str) -> str:
    """A text as a message shows it."""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"


def _by_reason(rows: Sequence[ListedRow]) -> str:
    """How many for each reason, and on which lines, the most frequent reason first."""
    lines: dict[str, list[str]] = {}
    for row in rows:
        lines.setdefault(row.reason, []).append(str(row.line))
    return ", ".join(
        f"{reason} ({len(of_reason)}: line {', '.join(of_reason[:LINES])}{', …' if len(of_reason) > LINES else ''})"
        for reason, of_reason in sorted(lines.items(), key=lambda item: -len(item[1]))
    )
