"""Plans: a list of actions, judged by playing it.

The game itself is not here. A data set names a `Simulator` by its dotted name (`rules.simulator`), and its golds are
levels in whatever words that simulator reads; the worker that plays imports it.
"""

from __future__ import annotations

import json
import re
from typing import Protocol, runtime_checkable

from lmm_r1.errors import UserError
from lmm_r1.rewards.claim import Claim
from lmm_r1.rewards.dotted import by_dotted_name

_LIST = re.compile(r"\s*[\[(]?(?P<body>[^\[\]()]*)[\])]?\s*", re.DOTALL)
_SEPARATOR = re.compile(r"\s*(?:,|;|->|→|\n|\s)\s*")


@runtime_checkable
class Simulator(Protocol):
    """A game: what may be done in it, and whether a list of actions solves a level."""

    actions: tuple[str, ...]
    """The vocabulary, in lower case."""
    longest: int
    """How many actions a plan may have."""

    def __call__(self, level: str, actions: tuple[str, ...]) -> bool:
        """Whether the actions, played in order from the start, solve the level.

        Raises ValueError for a level that it cannot read.
        """
        ...


def judge_actions(claim: Claim) -> str:
    """Whether the plan solves the gold's level. An unknown action, or more than the game allows, spoils all of it.

    Raises UserError where the claim's rules name no simulator.
    """
    simulator = load_simulator(claim.rules.simulator)
    plan = parse_actions(claim.answer, simulator)
    if plan is None:
        return "unparsable"
    try:
        return "ok" if simulator(claim.gold, plan) else "wrong"
    except ValueError:
        return "unparsable"


def judge_level(claim: Claim) -> str:
    """Whether the simulator can read the level. Not whether anybody could solve it."""
    try:
        load_simulator(claim.rules.simulator)(claim.gold, ())
    except ValueError:
        return "unparsable"
    return "ok"


def parse_actions(text: str, simulator: Simulator) -> tuple[str, ...] | None:
    """The actions of `up, left`, `[up, left]`, `["up", "left"]`, `up -> left`; None where one is not of the game."""
    text = text.strip()
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        listed = _LIST.fullmatch(text)
        found = [word.strip("\"'`.") for word in _SEPARATOR.split(listed["body"].strip())] if listed else []
    if isinstance(found, str):
        found = [found]
    if not isinstance(found, list) or not 0 < len(found) <= simulator.longest:
        return None
    plan = tuple(action.strip().casefold() if isinstance(action, str) else "" for action in found)
    return plan if set(plan) <= set(simulator.actions) else None


def load_simulator(name: str) -> Simulator:
    """The simulator of that dotted name. Raises UserError where there is none."""
    simulator = by_dotted_name(name, "simulator", "the game that judges answer_type=actions")
    if not isinstance(simulator, Simulator):
        raise UserError(f"simulator={name}: is no simulator; it must be callable and have actions and longest")
    return simulator
