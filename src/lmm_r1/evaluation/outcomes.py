"""From scored groups to one row a completion."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from lmm_r1.types import Group

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Outcome:
    """What became of one completion. Made from a scored group; read by the tables and the comparisons."""

    problem: str
    """The problem's id."""
    latent: str
    """What the renderings of one latent problem share: the id without its rendering."""
    source: str
    family: str
    rendering: str
    sample: int
    """Which of the problem's completions, from 0."""
    correct: bool
    reward: float
    format: float | None
    """The format term before its weight; None where the reward has no such term."""
    reason: str
    length: int
    """Tokens of the completion."""
    truncated: bool


def outcomes_of(groups: Iterable[Group]) -> list[Outcome]:
    """One row for each completion of the scored groups, in order.

    Raises:
        ValueError: a group whose completions are not all scored.
    """
    return [
        Outcome(
            problem=group.problem.id,
            latent=group.problem.id.removesuffix(f"/{group.problem.rendering}"),
            source=group.problem.source,
            family=group.problem.family,
            rendering=group.problem.rendering,
            sample=sample,
            correct=score.correct,
            reward=score.reward,
            format=score.breakdown.get("format"),
            reason=score.reason,
            length=len(completion.token_ids),
            truncated=completion.truncated,
        )
        for group in groups
        for sample, (completion, score) in enumerate(zip(group.completions, group.scores, strict=True))
    ]


def item_accuracies(outcomes: Iterable[Outcome]) -> dict[str, float]:
    """For each problem, in order of appearance, the share of its completions that are right (avg@k)."""
    samples: dict[str, list[bool]] = {}
    for outcome in outcomes:
        samples.setdefault(outcome.problem, []).append(outcome.correct)
    return {problem: sum(correct) / len(correct) for problem, correct in samples.items()}


def grouped(outcomes: Iterable[Outcome], key: Callable[[Outcome], Key]) -> dict[Key, list[Outcome]]:
    """The outcomes by `key`, keys in order of their first appearance."""
    parts: dict[Key, list[Outcome]] = {}
    for outcome in outcomes:
        parts.setdefault(key(outcome), []).append(outcome)
    return parts
