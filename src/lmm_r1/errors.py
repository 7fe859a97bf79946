"""Exceptions that are meant for the user's eyes."""

from __future__ import annotations


class UserError(Exception):
    """Bad input: one line that names the key or file and the cure.

    The entry points print it without a traceback and exit with code 2. Anything else that raises is a fault of ours
    and keeps its traceback.
    """


class UnwritableError(UserError):
    """What a run leaves could not be written, because the disk is full or refuses; nothing half written is left."""


class BadRowError(UserError):
    """A row of a data set that cannot be used. Whoever reads rows leaves it out, says so, and goes on.

    A data set raises it from `__getitem__` for a row that turns out bad when it is read.

    Args:
        reason: words that all bad rows of a kind share, so that they can be counted, e.g. `"picture file missing"`.
        detail: what is bad about this one, e.g. the picture's path.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(detail or reason)
        self.reason, self.detail = reason, detail

    def afresh(self) -> BadRowError:
        """The same without the traceback, which holds on to all that was in the frames where it was raised."""
        return BadRowError(self.reason, self.detail)
