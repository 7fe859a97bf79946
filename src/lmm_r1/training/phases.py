"""Wall-clock seconds by phase of a run."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Phases:
    """Adds up seconds under a name, for the step at hand and for the whole run.

    A phase within a phase counts for the outer one alone (sampling within validation is validation), so that phases
    never add up to more than the time that passed.

    >>> phases = Phases()
    >>> with phases("rollout"):
    ...     pass
    >>> sorted(phases.end_step())
    ['rollout']
    """

    def __init__(self) -> None:
        self._begun = time.perf_counter()
        self._earlier = 0.0
        self._total: dict[str, float] = defaultdict(float)
        self._step: dict[str, float] = defaultdict(float)
        self._within_one = False

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        if self._within_one:
            yield
            return
        self._within_one, start = True, time.perf_counter()
        try:
            yield
        finally:
            elapsed = time.perf_counter() - start
            self._within_one = False
            self._total[name] += elapsed
            self._step[name] += elapsed

    def end_step(self) -> dict[str, float]:
        """The seconds since the last call, by phase."""
        seconds, self._step = dict(self._step), defaultdict(float)
        return seconds

    def run(self) -> dict[str, float]:
        """The seconds of the run so far, by phase, and `total` from its beginning."""
        return dict(self._total) | {"total": self._earlier + time.perf_counter() - self._begun}

    def resume(self, earlier: dict[str, float]) -> None:
        """Count what `run` said when an earlier part of the same run ended."""
        for name, seconds in earlier.items():
            if name == "total":
                self._earlier += seconds
            else:
                self._total[name] += seconds
