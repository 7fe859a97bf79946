"""Which completions of a batch are right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lmm_r1.rewards.extract import extract_answer
from lmm_r1.rewards.pool import VerifierPool
from lmm_r1.rewards.verify import Claim, Verdict, judge_claim, quick_verdict

if TYPE_CHECKING:
    from lmm_r1.types import Completion, Problem


class AnswerAccuracy:
    """Judges what stands in the single `<answer>`; nothing else of a response counts.

    Arguments are those of `VerifierPool`. What needs no algebra is settled here and never reaches the pool.
    """

    def __init__(self, workers: int = 2, timeout: float = 5.0, memory_gib: float = 2.0) -> None:
        self.pool = VerifierPool(workers, timeout, memory_gib)

    def judge(self, items: Sequence[tuple[Problem, Completion]]) -> list[Verdict]:
        """One verdict for each item, in order. Raises UserError for an answer type that has no verifier."""
        claims = [_claim(problem, completion) for problem, completion in items]
        quick = [Verdict(False, "no_answer", 0.0) if claim is None else quick_verdict(claim) for claim in claims]
        algebra = [claim for claim, verdict in zip(claims, quick, strict=True) if verdict is None]
        judged = iter(self.pool.judge(judge_claim, algebra))
        return [next(judged) if verdict is None else verdict for verdict in quick]

    def close(self) -> None:
        self.pool.close()


def _claim(problem: Problem, completion: Completion) -> Claim | None:
    answer = extract_answer(completion.text)
    if answer is None:
        return None
    return Claim(problem.answer, answer, problem.answer_type, problem.choices, problem.rules)
