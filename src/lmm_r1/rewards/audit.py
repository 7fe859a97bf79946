"""Golds that are fit to train on: each is verified against itself, as its type says or as a safer one.

A data set has one answer type; its golds often have several. A gold declared `math` or `number` gets another type where
that type's own verifier accepts it and cannot pay for more than the declared one meant:

1. `yes_no` where it is one of the words yes, no, true, false;
2. `choice` where its row lists choices, it names one of them, by letter or by words, and is no number;
3. `math` where it was declared `number`, is none, and verifies as mathematics;
4. `text` where it is one to five words, which are then compared as words.

Mathematics would read a word as a product of letters, so that `lube` is `blue` and `on` is `no`. A word that could be
meant as a product (`xy`, `abc`: two letters, or letters in the order of the alphabet) stays `math` where it verifies as
that. Golds declared `choice`, `yes_no` or `text` are never retyped: there the user has said what an answer is. Whatever
else fails is dropped; LMM-R1's released code pays 1.0 for any answer to a gold that does not parse.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from lmm_r1.answer_rules import AnswerRules
from lmm_r1.progress import ProgressLine
from lmm_r1.rewards.answers.markup import plain_words
from lmm_r1.rewards.answers.number import plain_number
from lmm_r1.rewards.pool import VerifierPool
from lmm_r1.rewards.verify import Claim, Verdict, judge_own_gold, quick_verdict, verifier_of

AT_A_TIME = 256
"""Golds that go to the pool together; in between, the log can say how far it is."""

MOST_WORKERS = 8

_MAY_BE_RETYPED = ("unparsable", "wrong")
_YES_OR_NO = frozenset({"yes", "no", "true", "false"})
_LETTER = re.compile(r"[(\[]?[A-Za-z][)\]]?")
_WORDS = re.compile(r"[^\W\d_]{2,}(?:[\s'’-]+[^\W\d_]+){0,4}")


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
class Retyping:
    """Another answer type for one gold."""

    answer_type: str
    """What its completions are judged as."""
    reason: str
    """What its declared type said of it: `"unparsable"`, `"wrong"`, or `"ok"` where words passed as a product."""


@dataclass(frozen=True)
class GoldAudit:
    """The rows of a data set by whether their gold can judge answers; every row is in one of the three."""

    kept: list[int]
    """The gold verifies against itself as declared."""
    retyped: dict[int, Retyping]
    """It judges answers better under another type."""
    dropped: dict[int, str]
    """Row to reason: `"no_answer"`, `"unparsable"`, `"wrong"`, `"timeout"` or `"killed"`."""

    @property
    def usable(self) -> list[int]:
        """The rows to train on, in order."""
        return sorted([*self.kept, *self.retyped])

    @property
    def reasons(self) -> Counter[str]:
        return Counter(self.dropped.values())


def verify_golds(rows: Iterable[HasGold], pool: VerifierPool | None = None) -> GoldAudit:
    """Which rows to keep, which to judge as another type, which to drop; the module's text has the rule.

    Plain numbers are settled at once; the pool is started only where algebra is needed. A pool given by the caller
    stays open; without one, its own is closed at the end. What takes long says in the log how far it is. Raises
    UserError for an answer type that has no verifier.
    """
    claims = [Claim(row.answer, row.answer, row.answer_type, tuple(row.choices), row.rules) for row in rows]
    own_pool = VerifierPool(workers=min(MOST_WORKERS, os.cpu_count() or 1)) if pool is None else pool
    try:
        verdicts = _own_verdicts(claims, own_pool)
        no_numbers = [
            index
            for index, (claim, verdict) in enumerate(zip(claims, verdicts, strict=True))
            if claim.answer_type == "number" and verdict.reason in _MAY_BE_RETYPED
        ]
        as_mathematics = _own_verdicts([claims[index]._replace(answer_type="math") for index in no_numbers], own_pool)
    finally:
        if pool is None:
            own_pool.close()
    mathematics = {index for index, verdict in zip(no_numbers, as_mathematics, strict=True) if verdict.correct}
    audit = GoldAudit([], {}, {})
    for index, (claim, verdict) in enumerate(zip(claims, verdicts, strict=True)):
        answer_type = _better_type(claim, verdict, index in mathematics)
        if answer_type is not None:
            audit.retyped[index] = Retyping(answer_type, verdict.reason)
        elif verdict.correct:
            audit.kept.append(index)
        else:
            audit.dropped[index] = verdict.reason
    return audit


def _own_verdicts(claims: Sequence[Claim], pool: VerifierPool) -> list[Verdict]:
    """Whether each gold verifies against itself as its type says."""
    verdicts = [_settled(claim) for claim in claims]
    algebra = [claim for claim, verdict in zip(claims, verdicts, strict=True) if verdict is None]
    done = ProgressLine("verifying golds against themselves", len(algebra))
    judged = iter(_in_parts(algebra, pool, done))
    return [next(judged) if verdict is None else verdict for verdict in verdicts]


def _in_parts(claims: Sequence[Claim], pool: VerifierPool, done: Callable[[int], None]) -> Iterator[Verdict]:
    for start in range(0, len(claims), AT_A_TIME):
        yield from pool.judge(judge_own_gold, claims[start : start + AT_A_TIME])
        done(min(start + AT_A_TIME, len(claims)))


def _better_type(claim: Claim, verdict: Verdict, is_mathematics: bool) -> str | None:
    """The type to judge a gold as in place of its own, or None: the rule of the module's text, in its order."""
    if claim.answer_type not in ("math", "number") or verdict.reason not in (*_MAY_BE_RETYPED, "ok"):
        return None
    text = plain_words(claim.gold)
    if plain_number(text) is not None:
        return None
    if text.casefold() in _YES_OR_NO:
        return "yes_no"
    names = not verdict.correct or _LETTER.fullmatch(text) or _WORDS.fullmatch(text)
    if claim.choices and names and _verifies(claim, "choice"):
        return "choice"
    if is_mathematics and not _only_words(text):
        return "math"
    if _WORDS.fullmatch(text) and (_only_words(text) or not (verdict.correct or is_mathematics)):
        return "text"
    return None


def _verifies(claim: Claim, answer_type: str) -> bool:
    verdict = quick_verdict(claim._replace(answer_type=answer_type))
    return verdict is not None and verdict.correct


def _only_words(text: str) -> bool:
    """Whether a text is words that nobody could mean as a product of letters."""
    if not _WORDS.fullmatch(text):
        return False
    words = [word.casefold() for word in re.split(r"[\s'’-]+", text)]
    return any(len(word) > 2 and list(word) != sorted(word) for word in words)


def _settled(claim: Claim) -> Verdict | None:
    quick = verifier_of(claim).quick
    if not claim.gold.strip():
        return Verdict(False, "no_answer", 0.0)
    if claim.answer_type == "math" and plain_number(claim.gold) is not None:
        return Verdict(True, "ok", 0.0)
    return quick_verdict(claim) if quick else None
