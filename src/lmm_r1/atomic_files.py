"""Files and folders that appear under their name whole, or not at all.

A process that dies while it writes, or a power cut, leaves at most something under another name, which ends in
`PARTIAL` and which `remove_partial` clears away.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTIAL = ".partial"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a free name in the folder of `path`; what the block writes there is flushed and then renamed to `path`.

    The block may write a file or make a folder. Where it raises, what it wrote is removed, `path` is as it was, and the
    exception goes on.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}{PARTIAL}")
    _remove(partial)
    try:
        yield partial
        flush_to_disk(partial)
        if partial.is_dir() and path.is_dir():
            _exchange_folder(partial, path)
        else:
            os.replace(partial, path)
    except BaseException:
        _remove(partial)
        raise
    _flush_one(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a small text file, whole or not at all, as UTF-8."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def remove_partial(folder: Path) -> None:
    """Remove what a process that died left half written directly inside `folder`."""
    for partial in folder.glob(f"*{PARTIAL}"):
        _remove(partial)


def flush_to_disk(path: Path) -> None:
    """Wait until a file, or a folder with all that it holds, is on the disk and would outlast a power cut."""
    if path.is_dir() and not path.is_symlink():
        for inside in path.iterdir():
            flush_to_disk(inside)
    if not path.is_symlink():
        _flush_one(path)


def _exchange_folder(new: Path, path: Path) -> None:
    """A folder cannot be renamed onto one that holds something, so the old one steps aside first."""
    old = path.with_name(f"{path.name}.{os.getpid()}.old{PARTIAL}")
    _remove(old)
    os.rename(path, old)
    os.rename(new, path)
    _remove(old)


def _flush_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
