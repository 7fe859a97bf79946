"""A game small enough to be checked by eye: walk along a line from 0 to the number that the level names."""

from __future__ import annotations

from collections.abc import Sequence

from lmm_r1.rewards.claim import Claim


class Walk:
    actions = ("left", "right")
    longest = 6

    def __call__(self, level: str, actions: Sequence[str]) -> bool:
        return sum({"left": -1, "right": 1}[action] for action in actions) == int(level)


walk = Walk()
not_a_game = "walk"


def judge_reversed(claim: Claim) -> str:
    """A judge of one's own: the answer is the gold read backwards."""
    return "ok" if claim.answer[::-1] == claim.gold else "wrong"
