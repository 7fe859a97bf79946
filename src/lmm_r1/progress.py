"""A line in the log every few seconds while something long is under way, and none while it is short."""

from __future__ import annotations

import logging
import time

log = logging.getLogger(__name__)

SECONDS = 10.0


class ProgressLine:
    """Called with how much is done.

    Args:
        what: what is done, e.g. `"verifying golds"`.
    """

    def __init__(self, what: str, total: int, seconds: float = SECONDS) -> None:
        self.what, self.total, self.seconds = what, total, seconds
        self._start = self._last = time.monotonic()

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        if now - self._last >= self.seconds:
            self._last = now
            log.info("%s: %s of %s (%.0f s)", self.what, f"{done:,}", f"{self.total:,}", now - self._start)
