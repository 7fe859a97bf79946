"""One run at a time works in a folder: a lock that dies with the process that holds it."""

from __future__ import annotations

import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from lmm_r1.errors import UserError

log = logging.getLogger(__name__)

LOCK_FILE = ".lock"


@contextmanager
def claimed(folder: Path, process: int) -> Iterator[None]:
    """Hold a run's folder, so that no other run can write into it.

    The lock is one of POSIX, which forked children do not inherit and which the kernel takes back, from a process that
    was killed too. Each process of a run holds a byte of the file; a new run needs them all.

    Args:
        process: of those of a run, 0 is the one that starts the others.

    Raises:
        UserError: another run is at work there; says which.
    """
    descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _lock(descriptor, folder, process)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path, process: int) -> None:
    # A length of 0 reaches to infinity.
    start, length = (0, 0) if process == 0 else (process, 1)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, length, start)
    except (BlockingIOError, PermissionError):
        holder = os.pread(descriptor, 1000, 0).decode(errors="replace").strip() or "another run"
        raise UserError(f"{folder}: {holder} is at work there; wait until it has ended, or end it first") from None
    except OSError as error:
        log.warning("%s: cannot be locked (%s); see to it that no other run works in it", folder, error.strerror)
        return
    if process == 0:
        fcntl.lockf(descriptor, fcntl.LOCK_UN, 0, 1)
        os.ftruncate(descriptor, 0)
        since = datetime.now().isoformat(sep=" ", timespec="seconds")
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}, since {since},\n".encode(), 0)
