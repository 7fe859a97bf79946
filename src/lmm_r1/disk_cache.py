"""Results that take long to come by, kept on disk under what they follow from."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lmm_r1.atomic_files import write_text
from lmm_r1.errors import UserError

log = logging.getLogger(__name__)

NAMED = 20
"""Characters of a key in the name of its file; the file holds the whole key."""

LONGEST_WAIT = 3600.0
"""Seconds until another process counts as lost."""


class DiskCache:
    """JSON values in folders that are all asked, in order, and all filled.

    A file that is damaged or of another key counts as none. Where the first folder cannot be written, that is an
    error; the others are there to spare time.
    """

    def __init__(self, *folders: Path) -> None:
        self.folders = folders

    def result(self, name: str, key: str, make: Callable[[], Any], *, makes: bool = True) -> Any:
        """What is stored under `key`, or else what `make` returns, which is stored.

        Args:
            name: what it is, for the name of the file.
            key: a hash of all that the result follows from.
            makes: False for a process that waits until another has made it: processes that share work must not come
                to different results.

        Raises:
            RuntimeError: no other process made it within an hour.
        """
        start = time.monotonic()
        while (value := self._stored(name, key)) is None and not makes:
            if time.monotonic() - start > LONGEST_WAIT:
                raise RuntimeError(f"the first process has not left {self._path(self.folders[0], name, key)}")
            time.sleep(0.5)
        if value is None:
            value = make()
        if makes:
            self._store(name, key, value)
        return value

    def _stored(self, name: str, key: str) -> Any:
        for folder in self.folders:
            try:
                entry = json.loads(self._path(folder, name, key).read_text(encoding="utf-8"))
                if entry["key"] == key:
                    return entry["value"]
            except (OSError, ValueError, KeyError, TypeError):
                continue
        return None

    def _store(self, name: str, key: str, value: Any) -> None:
        text = json.dumps({"key": key, "value": value}) + "\n"
        whole = text.encode()
        for place, folder in enumerate(self.folders):
            path = self._path(folder, name, key)
            try:
                if not path.is_file() or path.read_bytes() != whole:
                    folder.mkdir(parents=True, exist_ok=True)
                    write_text(path, text)
            except (OSError, UserError) as error:
                if place == 0:
                    raise
                log.info("%s is not kept for other runs: %s", path, error)

    def _path(self, folder: Path, name: str, key: str) -> Path:
        return folder / f"{name}-{key[:NAMED]}.json"
