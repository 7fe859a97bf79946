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
        UserError: when the file is missing, of another kind, or not a parquet file at all; while rows are read, when
            the file is damaged within.
    """
    if not path.is_file():
        raise UserError(f"{key}={path}: no such file")
    if path.suffix == ".jsonl":
        return _refusing_damage(_read_jsonl(path), path, key)
    if path.suffix == ".parquet":
        return _refusing_damage(_read_parquet(path, key), path, key)
    raise UserError(f"{key}={path}: give a file whose name ends in .jsonl or .parquet")


def _refusing_damage(
    rows: Iterator[tuple[int, Row | BadRowError]], path: Path, key: str
) -> Iterator[tuple[int, Row | BadRowError]]:
    """The same rows, which are read from the disk as they are asked for."""
    number = 0
    try:
        for number, row in rows:
            yield number, row
    except (OSError, pyarrow.ArrowException) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{key}={path}: cannot be read after row {number} ({reason}); fetch it anew") from error


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
    rows = (row for batch in table.iter_batches(batch_size=256) for row in _rows_of(batch))
    yield from enumerate(rows, start=1)


def _rows_of(batch: pyarrow.RecordBatch) -> Iterator[Row | BadRowError]:
    try:
        yield from batch.to_pylist()
    except UnicodeDecodeError:
        # A column of text may hold anything, and the rows beside it are good.
        for place in range(len(batch)):
            try:
                yield from batch.slice(place, 1).to_pylist()
            except UnicodeDecodeError:
                yield BadRowError("not UTF-8")
