"""W&B's log of transactions, which is what `wandb sync` uploads: LevelDB's log format around protocol buffers."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path

from wandb.proto.wandb_internal_pb2 import Record

HEADER = 7
BLOCK = 32768
FULL, LAST = 1, 4


def records(path: Path) -> Iterator[Record]:
    """Every record that was written whole."""
    data = path.read_bytes()
    assert data.startswith(b":W&B")
    place, content = HEADER, b""
    while place + HEADER <= len(data):
        if BLOCK - place % BLOCK < HEADER:
            place += BLOCK - place % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + HEADER])
        content += data[place + HEADER : place + HEADER + length]
        place += HEADER + length
        if kind in (FULL, LAST):
            yield Record.FromString(content)
            content = b""


def rows(path: Path) -> list[dict[str, object]]:
    """The rows of the history in order, each with W&B's own `_step`."""
    return [
        {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
        for record in records(path)
        if record.WhichOneof("record_type") == "history"
    ]
