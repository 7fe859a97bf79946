"""Golds that are fit to train on: each is verified against itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from lmm_r1.answer_rules import AnswerRules
from lmm_r1.rewards.answers.number import plain_number
from lmm_r1.rewards.pool import VerifierPool
from lmm_r1.rewards.verify import Claim, Verdict, judge_own_gold, quick_verdict, verifier_of


class HasGold(Protocol):
    """A `Problem`, or any row that has its gold; so a data set need not decode its images for an audit."""

    @property
    def answer(self) -> str: ...

    @property
    def answer_type(self) -> str: ...

    @property
    def choices(self) -> tuple[str, ...]: ...

    @property
    def rules(self) -> AnswerRules: ...


@dataclass(frozen=True)
class GoldAudit:
    """The rows of a data set by whether their gold verifies against itself."""

    kept: list[int]
    dropped: dict[int, str]
    """Row to reason: `"no_answer"`, `"unparsable"`, `"wrong"`, `"timeout"` or `"killed"`."""

    @property
    def reasons(self) -> Counter[str]:
        return Counter(self.dropped.values())


def verify_golds(rows: Iterable[HasGold], pool: VerifierPool | None = None) -> GoldAudit:
    """Which rows to keep. Plain numbers are settled at once; the pool is started only where algebra is needed.

    A pool given by the caller stays open; without one, its own is closed at the end. Raises UserError for an answer
    type that has no verifier.
    """
    claims = [Claim(row.answer, row.answer, row.answer_type, tuple(row.choices), row.rules) for row in rows]
    verdicts = [_settled(claim) for claim in claims]
    algebra = [claim for claim, verdict in zip(claims, verdicts, strict=True) if verdict is None]
    own_pool = VerifierPool() if pool is None else pool
    try:
        judged = iter(own_pool.judge(judge_own_gold, algebra))
    finally:
        if pool is None:
            own_pool.close()
    verdicts = [next(judged) if verdict is None else verdict for verdict in verdicts]
    kept = [index for index, verdict in enumerate(verdicts) if verdict.correct]
    dropped = {index: verdict.reason for index, verdict in enumerate(verdicts) if not verdict.correct}
    return GoldAudit(kept, dropped)


def _settled(claim: Claim) -> Verdict | None:
    quick = verifier_of(claim).quick
    if not claim.gold.strip():
        return Verdict(False, "no_answer", 0.0)
    if claim.answer_type == "math" and plain_number(claim.gold) is not None:
        return Verdict(True, "ok", 0.0)
    return quick_verdict(claim) if quick else None
