"""The sound lines of `metrics.csv`, whatever happened to the file.

A row is appended to it after every step. A process that is killed meanwhile leaves half a line, and a power cut a line
of zeros; what such a line says is not what was measured.
"""

from __future__ import annotations

import csv
import logging
from pathlib import Path

log = logging.getLogger(__name__)


def sound_lines(path: Path) -> list[str]:
    """The header and every line that was written whole, with their ends; none where the header was not.

    A damaged line is named in the log.
    """
    lines = path.read_bytes().decode("utf-8", errors="replace").splitlines(keepends=True)
    columns = len(_cells(lines[0])) if lines and lines[0].endswith("\n") and "\0" not in lines[0] else None
    sound = [number == 0 or _is_row(line, columns) for number, line in enumerate(lines)] if columns else []
    damaged = [str(number) for number in range(1, len(lines) + 1) if number > len(sound) or not sound[number - 1]]
    if damaged:
        log.warning("%s: damaged and left out: line %s", path, ", ".join(damaged))
    return [line for line, is_sound in zip(lines, sound, strict=False) if is_sound]


def _is_row(line: str, columns: int) -> bool:
    cells = _cells(line)
    return line.endswith("\n") and len(cells) == columns and all(cell == "" or _is_number(cell) for cell in cells)


def _cells(line: str) -> list[str]:
    try:
        return next(csv.reader([line]), [])
    except csv.Error:
        return []


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
