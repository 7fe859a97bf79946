"""Wall-clock seconds by phase of a run."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Phases:
    """Adds up seconds under a name, for the step at hand and for the whole run.

    >>> phases = Phases()
    >>> with phases("rollout"):
    ...     pass
    >>> sorted(phases.end_step())
    ['rollout']
    """

    def __init__(self) -> None:
        self.total: dict[str, float] = defaultdict(float)
        self._step: dict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            elapsed = time.perf_counter() - start
            self.total[name] += elapsed
            self._step[name] += elapsed

    def end_step(self) -> dict[str, float]:
        """The seconds since the last call, by phase."""
        seconds, self._step = dict(self._step), defaultdict(float)
        return seconds

    def add(self, seconds: dict[str, float]) -> None:
        """Count seconds of an earlier part of the same run."""
        for name, value in seconds.items():
            self.total[name] += value
