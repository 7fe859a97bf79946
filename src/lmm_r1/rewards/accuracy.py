"""Which completions of a batch are right."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lmm_r1.rewards.extract import extract_answer
from lmm_r1.rewards.pool import VerifierPool
from lmm_r1.rewards.verify import LONGEST_ANSWER, Claim, Verdict, judge_claim, quick_verdict

if TYPE_CHECKING:
    from lmm_r1.types import Completion, Problem

NO_ANSWER = Verdict(False, "no_answer", 0.0)
TOO_LONG = Verdict(False, "unparsable", 0.0)


class AnswerAccuracy:
    """Judges what stands in the single `<answer>`; nothing else of a response counts.

    Arguments are those of `VerifierPool`. What needs no algebra is settled here and never reaches the pool.
    """

    def __init__(self, workers: int = 2, timeout: float = 5.0, memory_gib: float = 2.0) -> None:
        self.pool = VerifierPool(workers, timeout, memory_gib)
        self._totals: Counter[str] = Counter()

    def judge(self, items: Sequence[tuple[Problem, Completion]]) -> list[Verdict]:
        """One verdict for each item, in order; equal answers to equal golds are judged once.

        Raises UserError for an answer type that has no verifier.
        """
        start = time.perf_counter()
        claims = [_claim(problem, completion) for problem, completion in items]
        distinct = [claim for claim in dict.fromkeys(claims) if claim is not None]
        verdicts: dict[Claim | None, Verdict | None] = {
            claim: TOO_LONG if len(claim.answer) > LONGEST_ANSWER else quick_verdict(claim) for claim in distinct
        }
        verdicts[None] = NO_ANSWER
        algebra = [claim for claim in distinct if verdicts[claim] is None]
        verdicts.update(zip(algebra, self.pool.judge(judge_claim, algebra), strict=True))
        answers = len(claims) - claims.count(None)
        self._totals.update(claims=answers, repeated=answers - len(distinct), seconds=time.perf_counter() - start)
        return [verdicts[claim] for claim in claims]

    def statistics(self) -> dict[str, float]:
        """What all batches so far took: `VerifierPool.statistics` with what never reached the pool.

        `claims - repeated - cache_hits - judged` needed no algebra. `seconds` are wall clock.
        """
        return self.pool.statistics | {name: self._totals[name] for name in ("claims", "repeated", "seconds")}

    def close(self) -> None:
        self.pool.close()


def _claim(problem: Problem, completion: Completion) -> Claim | None:
    answer = extract_answer(completion.text)
    if answer is None:
        return None
    return Claim(problem.answer, answer, problem.answer_type, problem.choices, problem.rules)
