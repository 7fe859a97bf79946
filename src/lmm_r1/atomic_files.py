"""Files and folders that appear under their name whole, or not at all.

A process that dies while it writes, or a power cut, leaves at most something under another name, which ends in
`PARTIAL` and which `remove_partial` clears away.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any

from lmm_r1.errors import UnwritableError, UserError

PARTIAL = ".partial"
REPLACED = f".replaced{PARTIAL}"
"""The ending of a folder that makes room for its successor; the successor is named at once, or never."""

REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
"""What a disk answers that is full, or cannot be written any more: nothing that our code could have done better."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a free name in the folder of `path`; what the block writes there is flushed and then renamed to `path`.

    The block may write a file or make a folder. Where it raises, what it wrote is removed, `path` is as it was, and the
    exception goes on; as an `UnwritableError` that names `path` where it is the disk that refused.
    """
    partial = path.with_name(f"{path.name}.{token_hex(4)}{PARTIAL}")
    try:
        with naming_refusals(path):
            yield partial
            flush_to_disk(partial)
            if _is_folder(partial) and _is_folder(path):
                _exchange_folder(partial, path)
            else:
                os.replace(partial, path)
    except BaseException:
        _remove(partial)
        raise
    _flush_one(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a small text file, whole or not at all, as UTF-8; half a surrogate pair becomes `?`."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="replace")


def read_json(path: Path, cure: str) -> Any:
    """What a JSON file holds.

    Raises:
        FileNotFoundError: it is not there.
        UserError: it is damaged; `cure` says what makes it again.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: damaged; {cure}") from error


@contextmanager
def naming_refusals(path: Path) -> Iterator[None]:
    """Raise `UnwritableError` where the block fails because the disk of `path` is full or refuses to be written."""
    try:
        yield
    except Exception as error:
        reason = _refusal(error)
        if reason is None or isinstance(error, UnwritableError):
            raise
        raise UnwritableError(f"{path} cannot be written: {os.strerror(reason).lower()}") from error


def remove_whole(path: Path) -> None:
    """Remove a file or a folder so that nobody ever finds half of it under its name."""
    going = path.with_name(f"{path.name}.{token_hex(4)}{PARTIAL}")
    os.rename(path, going)
    _remove(going)


def remove_partial(folder: Path) -> None:
    """Clear away what a process that died left half written or half removed directly inside `folder`."""
    for replaced in folder.glob(f"*{REPLACED}"):
        original = folder / replaced.name.removesuffix(REPLACED)
        if not original.exists():
            os.rename(replaced, original)
    for partial in folder.glob(f"*{PARTIAL}"):
        _remove(partial)


def flush_to_disk(path: Path) -> None:
    """Wait until a file, or a folder with all that it holds, is on the disk and would outlast a power cut."""
    if _is_folder(path):
        for inside in path.iterdir():
            flush_to_disk(inside)
    if not path.is_symlink():
        _flush_one(path)


def _refusal(error: BaseException | None) -> int | None:
    """The number of the disk's refusal behind an exception; some libraries hide it behind one of their own."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in REFUSALS:
            return error.errno
        if os.strerror(errno.ENOSPC) in str(error):
            return errno.ENOSPC
        error = error.__cause__ or error.__context__
    return None


def _exchange_folder(new: Path, path: Path) -> None:
    """A folder cannot be renamed onto one that holds something, so the old one steps aside first."""
    old = path.with_name(f"{path.name}{REPLACED}")
    _remove(old)
    os.rename(path, old)
    os.rename(new, path)
    _remove(old)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _flush_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if _is_folder(path):
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
