"""Rewards while the engine still samples."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue

from lmm_r1.rewards.compose import RewardSum
from lmm_r1.types import Group


class BackgroundScoring:
    """Scores groups in a thread of its own, in the order in which they are complete.

    The thread takes all that have come while it scored the last ones: verifying is fastest in large batches, and an
    answer that takes seconds holds up few others.
    """

    def __init__(self, reward: RewardSum) -> None:
        self._reward = reward
        self._complete: SimpleQueue[Group | None] = SimpleQueue()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="reward")
        self._scored = self._executor.submit(self._score_until_finished)

    def add(self, group: Group) -> None:
        """Take over a complete group; its scores are there after `finish`."""
        self._complete.put(group)

    def finish(self) -> None:
        """Wait until all groups have their scores. Raises what scoring raised. No group can be added afterwards."""
        self._complete.put(None)
        self._executor.shutdown()
        self._scored.result()

    def _score_until_finished(self) -> None:
        more = True
        while more:
            waiting = self._waiting()
            more = None not in waiting
            groups = [group for group in waiting if group is not None]
            for group, scores in zip(groups, self._reward.score_groups(groups), strict=True):
                group.scores = scores

    def _waiting(self) -> list[Group | None]:
        """At least one; the last is None when there will be no more."""
        waiting = [self._complete.get()]
        try:
            while True:
                waiting.append(self._complete.get_nowait())
        except Empty:
            return waiting
