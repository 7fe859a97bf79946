"""Rollouts stored by a thread, while the step that they belong to goes on."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from lmm_r1.rollout.store import RolloutStore
from lmm_r1.types import Group


class BackgroundWriter:
    """Writes to a store one step at a time: a step is on the disk, or has failed aloud, before the next is begun.

    Compressing and writing leave the interpreter to others. A process that ends waits for the thread.
    """

    def __init__(self, store: RolloutStore) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rollouts")
        self._pending: Future[Path] | None = None

    def write(self, groups: Sequence[Group], step: int, rank: int) -> None:
        """As `RolloutStore.write`, some time before `finish` returns. Until then nobody may change the groups.

        Raises what the write before this one raised, unless `finish` has.
        """
        self.finish()
        self._pending = self._thread.submit(self._store.write, groups, step, rank)

    def finish(self) -> None:
        """Wait until what was given is on the disk. Raises what writing it raised, once."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()
