"""`metrics.csv`: one row an RL step, complete after every step and exact after a resume."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from lmm_r1.atomic_files import naming_refusals, replacing
from lmm_r1.reporting.metrics_table import sound_lines


class MetricsFile:
    """A table on disk that grows by a row a step, and by a column when a new quantity appears.

    Rows are appended, and on the disk before the step's checkpoint is written: what a kill or a power cut spoils is the
    row of a step that will be done again. The file is rewritten (beside, then renamed) only when a column is new.
    `rows` is what it holds, as text.
    """

    def __init__(self, path: Path, *, keep_through: int | None) -> None:
        """Args: `keep_through`: the last RL step whose row survives, None to start an empty table."""
        self.path = path
        self.rows: list[dict[str, str]] = []
        self._columns: list[str] = ["step"]
        if keep_through is not None and path.exists():
            reader = csv.DictReader(sound_lines(path))
            self._columns = list(reader.fieldnames or self._columns)
            self.rows = [row for row in reader if row["step"].isdigit() and int(row["step"]) <= keep_through]
        self._rewrite()

    def append(self, step: int, metrics: dict[str, float]) -> None:
        """Add the row of one step; empty cells stand for what was not measured."""
        row = {"step": str(step)} | {name: repr(float(value)) for name, value in metrics.items()}
        new = [name for name in row if name not in self._columns]
        self.rows.append(row)
        if new:
            self._columns += new
            self._rewrite()
            return
        with naming_refusals(self.path), self.path.open("a", newline="") as file:
            csv.DictWriter(file, self._columns).writerow(row)
            file.flush()
            os.fsync(file.fileno())

    def _rewrite(self) -> None:
        with replacing(self.path) as partial, partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows(self.rows)
