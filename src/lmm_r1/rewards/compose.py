"""What a completion earns: a weighted sum of terms, each reported on its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from lmm_r1.errors import UserError
from lmm_r1.rewards.judged import Judged
from lmm_r1.rewards.verify import Verdict
from lmm_r1.types import Completion, Group, Problem, Score

Term = Callable[[Judged], float]
"""A term of the reward other than accuracy: a plain function of one completion, its verdict and its group."""

COMBINATIONS = ("additive", "gated")
LARGEST_REWARD = 1e15
"""Advantages square rewards in float32, which ends at 3e38; a larger one would teach nothing, or NaN."""
RESERVED = ("accuracy", "mean")
"""No term's names: the first is the verdict's, the second that of `reward/mean` among the metrics."""


class Accuracy(Protocol):
    """Judges a whole batch at once, in worker processes if need be: `AnswerAccuracy`, `ReleasedAccuracy`."""

    def judge(self, items: Sequence[tuple[Problem, Completion]]) -> list[Verdict]: ...

    def statistics(self) -> dict[str, float]: ...

    def close(self) -> None: ...


class RewardSum:
    """The reward of each completion, as a weighted sum.

    - additive: w_accuracy · accuracy + Σ w_term · term (LMM-R1, arXiv 2503.07536, section 3.2)
    - gated: w_accuracy · accuracy · [format = 1] + Σ w_term · term: a right answer that breaks the format earns no
      accuracy. The other terms, `format` among them, are paid as before, and the breakdown keeps the bare accuracy.

    `weights` has one weight for `accuracy` and one for each of `terms`. A term of weight 0 is measured and not paid.
    """

    def __init__(
        self,
        accuracy: Accuracy,
        weights: Mapping[str, float],
        terms: Mapping[str, Term] | None = None,
        combination: str = "additive",
    ) -> None:
        """Raises UserError where weights and terms do not match, or a gate has no format to look at."""
        self.accuracy, self.combination = accuracy, combination
        self.terms = dict(terms or {})
        self.weights = {name: float(weight) for name, weight in weights.items()}
        for name in RESERVED:
            if name in self.terms:
                raise UserError(f"reward.terms.{name}: this name is taken; choose another")
        expected = {"accuracy", *self.terms}
        if set(self.weights) != expected:
            wrong = ", ".join(sorted(expected.symmetric_difference(self.weights)))
            raise UserError(f"reward.weights must name exactly {', '.join(sorted(expected))}; check {wrong}")
        if combination not in COMBINATIONS:
            raise UserError(f"reward.combination={combination}: must be one of {', '.join(COMBINATIONS)}")
        if combination == "gated" and "format" not in self.terms:
            raise UserError("reward.combination=gated: needs the term format in reward.terms")

    def score_groups(self, groups: Sequence[Group]) -> list[list[Score]]:
        """For each group one score for each completion, in order.

        Raises UserError for a term whose value is not a finite number, and for a reward too large to compute with.
        """
        verdicts = iter(
            self.accuracy.judge([(group.problem, completion) for group in groups for completion in group.completions])
        )
        return [
            [
                self._score(Judged(group.problem, completion, next(verdicts), group.completions))
                for completion in group.completions
            ]
            for group in groups
        ]

    def score(self, items: Sequence[tuple[Problem, Completion]]) -> list[Score]:
        """One score for each item, in order; each completion is a group of its own."""
        scored = self.score_groups([Group(problem, (), [completion]) for problem, completion in items])
        return [score for (score,) in scored]

    def statistics(self) -> dict[str, float]:
        """What verifying took so far, as `verifier/claims`, `verifier/timeouts`, `verifier/seconds`, …"""
        return {f"verifier/{name}": value for name, value in self.accuracy.statistics().items()}

    def close(self) -> None:
        """Ends the worker processes."""
        self.accuracy.close()

    def _score(self, judged: Judged) -> Score:
        breakdown = {"accuracy": judged.verdict.score}
        for name, term in self.terms.items():
            breakdown[name] = float(term(judged))
            if not math.isfinite(breakdown[name]):
                raise UserError(f"reward.terms.{name}: gave {breakdown[name]} for problem {judged.problem.id}")
        reward = self._reward(breakdown)
        if not abs(reward) <= LARGEST_REWARD:
            raise UserError(
                f"reward.weights: a reward of {reward:.1e} for problem {judged.problem.id}, from the terms "
                f"{breakdown}, is beyond {LARGEST_REWARD:.0e}; lower the weights or the terms"
            )
        return Score(reward, breakdown, judged.verdict.correct, judged.verdict.reason)

    def _reward(self, breakdown: Mapping[str, float]) -> float:
        paid = dict(breakdown)
        if self.combination == "gated" and breakdown["format"] != 1:
            paid["accuracy"] = 0.0
        return sum(self.weights[name] * value for name, value in paid.items())
