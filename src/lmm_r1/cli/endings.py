"""What ends a run stands in its log: the line for the user, the traceback of a fault, the stack of a crash."""

from __future__ import annotations

import faulthandler
import logging
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from lmm_r1.cli.user_errors import user_error_in
from lmm_r1.errors import UserError

FORMAT = "[%(asctime)s][%(name)s][%(levelname)s] - %(message)s"
"""As Hydra writes the lines above."""
MISTAKE = re.compile(r"\[ERROR\] - process \d+: error: (.+)")


@contextmanager
def ending_in_log(path: Path, process: int) -> Iterator[None]:
    """Append to the run's log what the block raises, and let it pass; SIGTERM raises SystemExit in it.

    Args:
        process: of those of a run. All write into the log of the first, which loses its connection, or is killed
            without a word, when another one fails.

    Raises:
        UserError: another process ended with one, and this one with what came of that.
    """
    with path.open("a", encoding="utf-8") as file, _heard_termination():
        beginning = file.tell()
        faulthandler.enable(file)
        try:
            yield
        except BaseException as error:
            elsewhere = _mistake_elsewhere(path, beginning)
            if process == 0 and elsewhere is not None and isinstance(error, Exception):
                raise UserError(elsewhere) from error
            _append(path, error, process)
            raise
        finally:
            faulthandler.disable()


@contextmanager
def _heard_termination() -> Iterator[None]:
    """While a run starts or comes to its end; in between, `training.interrupts` finishes the step first."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    previous = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def append_line(path: Path, line: str, level: int = logging.INFO, fault: BaseException | None = None) -> None:
    """Append a line to a log that nobody needs to see on the terminal."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter(FORMAT))
    about = None if fault is None else (type(fault), fault, fault.__traceback__)
    handler.handle(logging.LogRecord("lmm_r1", level, "", 0, line, None, about))
    handler.close()


def _append(path: Path, error: BaseException, process: int) -> None:
    whose = "" if process == 0 else f"process {process}: "
    mistake = user_error_in(error)
    if mistake is not None:
        append_line(path, f"{whose}error: {mistake}", logging.ERROR)
    elif isinstance(error, SystemExit):
        append_line(path, f"{whose}ended with exit code {error.code}")
    else:
        append_line(path, f"{whose}{type(error).__name__}", logging.ERROR, error)


def _mistake_elsewhere(path: Path, beginning: int) -> str | None:
    """The first mistake that another process of the run has noted."""
    with path.open("rb") as file:
        file.seek(beginning)
        found = MISTAKE.search(file.read().decode("utf-8", errors="replace"))
    return found and found[1]
