"""Rows of a JSONL or parquet file, each with its number."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from lmm_r1.errors import BadRowError, UserError

Row = Mapping[str, Any]


def read_rows(path: Path, key: str = "dataset.path") -> Iterator[tuple[int, Row | BadRowError]]:
    """Every row with its line (JSONL) or its place (parquet), counted from 1; blank lines are passed over.

    Args:
        key: the setting that named the file, for messages.

    Raises:
        UserError: when the file is missing, of another kind, or not a parquet file at all.
    """
    if not path.is_file():
        raise UserError(f"{key}={path}: no such file")
    if path.suffix == ".jsonl":
        return _read_jsonl(path)
    if path.suffix == ".parquet":
        return _read_parquet(path, key)
    raise UserError(f"{key}={path}: give a file whose name ends in .jsonl or .parquet")


def field(row: Row, name: str) -> Any:
    """The value of a field, None where it is absent; `a.b` looks inside the map `a`."""
    if name in row:
        return row[name]
    first, _, rest = name.partition(".")
    inner = row.get(first)
    return field(inner, rest) if rest and isinstance(inner, Mapping) else None


def _read_jsonl(path: Path) -> Iterator[tuple[int, Row | BadRowError]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield number, _parse(line)


def _parse(line: bytes) -> Row | BadRowError:
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return BadRowError("not UTF-8")
    except json.JSONDecodeError:
        return BadRowError("not JSON")
    return row if isinstance(row, dict) else BadRowError("not a JSON object")


def _read_parquet(path: Path, key: str) -> Iterator[tuple[int, Row | BadRowError]]:
    try:
        table = pyarrow.parquet.ParquetFile(path)
    except pyarrow.ArrowInvalid as error:
        raise UserError(f"{key}={path}: not a parquet file ({error})") from error
    rows = (row for batch in table.iter_batches(batch_size=256) for row in batch.to_pylist())
    return enumerate(rows, start=1)
