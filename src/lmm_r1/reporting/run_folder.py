"""Read what a training run left on disk, finished or not."""

from __future__ import annotations

from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd

from lmm_r1.atomic_files import read_json
from lmm_r1.errors import UserError
from lmm_r1.reporting.metrics_table import sound_lines

ACCURACY = "validation/accuracy"


@dataclass(frozen=True)
class RunFolder:
    """The small files of a run; absent ones are empty."""

    path: Path
    metrics: pd.DataFrame
    """One row a step, indexed by `step`; NaN where not measured."""
    summary: dict
    """`summary.json`: stage, seed, lineage, wall seconds, validation before and after."""
    lineage: dict
    """The last part of `lineage.json`: data and code as noted at the start; empty in runs that noted nothing."""
    config: str
    """`config.yaml` as it stands."""

    def column(self, name: str) -> pd.Series:
        """The measured values of a column by step; empty where there are none."""
        if name not in self.metrics:
            return pd.Series(dtype=float)
        return pd.to_numeric(self.metrics[name], errors="coerce").dropna()

    def validation_accuracy(self) -> pd.DataFrame:
        """Validation accuracy by step, `[validations, parts]`: `""` is all items, else a rendering."""
        columns = [name for name in self.metrics if name == ACCURACY or _is_rendering(name)]
        history = self.metrics[columns].apply(pd.to_numeric, errors="coerce").dropna(how="all")
        return history.rename(columns=lambda name: name.removeprefix(ACCURACY).removeprefix("/"))


def read_run(path: Path) -> RunFolder:
    """Read a run's folder.

    Raises:
        UserError: `path` is no folder, its metrics lack the column `step`, or its summary or lineage is damaged.
    """
    if not path.is_dir():
        raise UserError(f"{path} is not a run's folder; give one that train.py made, such as outputs/fre/latest")
    return RunFolder(
        path,
        _read_metrics(path / "metrics.csv"),
        _read_json(path, "summary.json") or {},
        (_read_json(path, "lineage.json") or [{}])[-1],
        _read_text(path / "config.yaml"),
    )


def _is_rendering(column: str) -> bool:
    """Whether the column is accuracy by rendering, not by family and rendering."""
    return column.startswith(f"{ACCURACY}/") and column.count("/") == 2


def _read_metrics(path: Path) -> pd.DataFrame:
    lines = sound_lines(path) if path.is_file() else []
    if not lines:
        return pd.DataFrame()
    metrics = pd.read_csv(StringIO("".join(lines)))
    if "step" not in metrics:
        raise UserError(f"{path} has no column step; it was not written by train.py")
    return metrics.set_index("step").sort_index()


def _read_json(folder: Path, name: str) -> Any:
    """None where there is no such file."""
    path = folder / name
    return read_json(path, f"python train.py resume={folder} writes it again") if path.is_file() else None


def _read_text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
