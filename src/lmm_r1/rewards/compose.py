"""What a completion earns: a weighted sum of terms, each reported on its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from lmm_r1.errors import UserError
from lmm_r1.rewards.verify import Verdict
from lmm_r1.types import Completion, Problem, Score

Term = Callable[[Completion, Problem], float]
"""A term of the reward other than accuracy: a plain function of one completion."""


class Accuracy(Protocol):
    """Judges a whole batch at once, in worker processes if need be: `AnswerAccuracy`, `ReleasedAccuracy`."""

    def judge(self, items: Sequence[tuple[Problem, Completion]]) -> list[Verdict]: ...

    def statistics(self) -> dict[str, float]: ...

    def close(self) -> None: ...


class RewardSum:
    """reward = w_accuracy · accuracy + Σ w_term · term (LMM-R1, arXiv 2503.07536, section 3.2).

    `weights` has one weight for `accuracy` and one for each of `terms`. A term of weight 0 is measured and not paid.
    """

    def __init__(
        self, accuracy: Accuracy, weights: Mapping[str, float], terms: Mapping[str, Term] | None = None
    ) -> None:
        self.accuracy = accuracy
        self.terms = dict(terms or {})
        self.weights = {name: float(weight) for name, weight in weights.items()}
        expected = {"accuracy", *self.terms}
        if set(self.weights) != expected:
            wrong = ", ".join(sorted(expected.symmetric_difference(self.weights)))
            raise UserError(f"reward.weights must name exactly {', '.join(sorted(expected))}; check {wrong}")

    def score(self, items: Sequence[tuple[Problem, Completion]]) -> list[Score]:
        """One score for each item, in order."""
        verdicts = self.accuracy.judge(items)
        return [
            self._score(problem, completion, verdict)
            for (problem, completion), verdict in zip(items, verdicts, strict=True)
        ]

    def statistics(self) -> dict[str, float]:
        """What verifying the last batch took, as `verifier/claims`, `verifier/timeouts`, `verifier/seconds`, …"""
        return {f"verifier/{name}": value for name, value in self.accuracy.statistics().items()}

    def close(self) -> None:
        """Ends the worker processes."""
        self.accuracy.close()

    def _score(self, problem: Problem, completion: Completion, verdict: Verdict) -> Score:
        breakdown = {"accuracy": float(verdict.correct)}
        breakdown |= {name: float(term(completion, problem)) for name, term in self.terms.items()}
        reward = sum(self.weights[name] * value for name, value in breakdown.items())
        return Score(reward, breakdown, verdict.correct, verdict.reason)
