"""The one door: is this answer right?"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from lmm_r1.answer_rules import EXACT, AnswerRules, known_answer_type
from lmm_r1.errors import UserError
from lmm_r1.rewards.answers.actions import judge_actions, judge_level, load_simulator
from lmm_r1.rewards.answers.announcement import stated_answer
from lmm_r1.rewards.answers.box import grade_boxes, judge_boxes
from lmm_r1.rewards.answers.choice import choice_letter, judge_choice
from lmm_r1.rewards.answers.collection import judge_own_set, judge_own_tuple, judge_set, judge_tuple
from lmm_r1.rewards.answers.count import judge_count
from lmm_r1.rewards.answers.free_text import grade_free_text, judge_free_text
from lmm_r1.rewards.answers.interval import judge_interval, judge_own_interval
from lmm_r1.rewards.answers.mathematics import judge_gold, quick_reason
from lmm_r1.rewards.answers.relaxed import judge_relaxed
from lmm_r1.rewards.answers.tolerance import judge_number, judge_value
from lmm_r1.rewards.answers.words import judge_text, judge_yes_no
from lmm_r1.rewards.claim import Claim, Judge
from lmm_r1.rewards.dotted import by_dotted_name
from lmm_r1.rewards.extract import after_thinking, last_answer
from lmm_r1.rewards.limits import OutOfTime, time_limit

PROCESSOR_SECONDS = 3.0
"""What one verification may use; the slowest real ones take 0.3 s."""


LONGEST_ANSWER = 1024
"""Characters; a longer answer is no answer of any type. It bounds what searching it can cost."""


class Verifier(NamedTuple):
    """How answers of one type are judged."""

    judge: Judge
    quick: bool = True
    """Whether string work and arithmetic in linear time are all it needs; else it runs within limits, in a worker."""
    judge_gold: Judge | None = None
    """Whether a gold is fit to judge others, where comparing it with itself does not tell."""
    grade: Callable[[Claim], float] | None = None
    """How near the answer is, from 0 to 1, where it can be partly right."""


VERIFIERS = {
    "math": Verifier(judge_value, quick=False, judge_gold=lambda claim: judge_gold(claim.gold)),
    "number": Verifier(judge_number),
    "count": Verifier(judge_count),
    "choice": Verifier(judge_choice),
    "yes_no": Verifier(judge_yes_no),
    "text": Verifier(judge_text),
    "anls": Verifier(judge_free_text, grade=grade_free_text),
    "relaxed": Verifier(judge_relaxed),
    "set": Verifier(judge_set, quick=False, judge_gold=judge_own_set),
    "tuple": Verifier(judge_tuple, quick=False, judge_gold=judge_own_tuple),
    "interval": Verifier(judge_interval, quick=False, judge_gold=judge_own_interval),
    "bbox": Verifier(judge_boxes, grade=grade_boxes),
    "actions": Verifier(judge_actions, quick=False, judge_gold=judge_level),
}
"""One for each of `ANSWER_TYPES`."""


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is right, and why not. Made by `verify`; becomes part of a `Score`."""

    correct: bool
    reason: str
    """`"ok"`, `"wrong"`, `"no_answer"`, `"unparsable"`, `"timeout"`, or `"killed"` (no memory, or the process died)."""
    seconds: float
    """What it took, wall clock."""
    grade: float | None = None
    """How near the answer is, from 0 to 1, where its type is graded (`anls`, `bbox`); None where it is right or wrong.
    """

    @property
    def score(self) -> float:
        """What the accuracy of a reward is: the grade, or 1.0 for right and 0.0 for wrong."""
        return float(self.correct) if self.grade is None else self.grade


def verify(
    gold: str,
    text: str,
    answer_type: str = "math",
    *,
    choices: tuple[str, ...] = (),
    rules: AnswerRules = EXACT,
    scope: str = "answer",
) -> Verdict:
    """Judges one answer against the gold, in this process where that is safe.

    `text` is the answer itself (`scope="answer"`) or a whole response whose last answer counts (`scope="response"`).
    Thinking in it counts in neither case.
    Algebra is limited to `PROCESSOR_SECONDS`; off the main thread, where no limit can be set, it runs in a process of
    its own, which costs a second. Only a `VerifierPool` bounds memory and operations inside C as well: whoever judges
    what a policy wrote uses that.

    Raises UserError for an answer type that has no verifier.
    """
    if scope not in ("answer", "response"):
        raise ValueError(f"scope is {scope!r}; it is 'answer' or 'response'")
    kind = "choice" if answer_type == "math" and choice_letter(gold) else answer_type
    answer = after_thinking(text) if scope == "answer" else last_answer(text, kind)
    claim = Claim(gold, answer or "", answer_type, tuple(choices), rules)
    quick = quick_verdict(claim)
    if quick is not None:
        return quick
    if threading.current_thread() is threading.main_thread():
        return judge_claim(claim)
    from lmm_r1.rewards.pool import VerifierPool  # here, because the pool's module builds on this one

    with VerifierPool(workers=1) as pool:
        return pool.judge(judge_claim, [claim])[0]


def quick_verdict(claim: Claim) -> Verdict | None:
    """The verdict where string work or exact arithmetic settles it, in linear time; None where limits are needed.

    Raises UserError for an answer type that has no verifier.
    """
    verifier = verifier_of(claim)
    start = time.perf_counter()
    if not claim.answer.strip():
        reason = "no_answer"
    elif claim.answer_type == "math":
        reason = _quick_mathematics(claim)
    else:
        reason = _reason(verifier, claim) if verifier.quick else None
    if reason is None:
        return None
    return _graded(verifier, claim, Verdict(reason == "ok", reason, time.perf_counter() - start))


def judge_claim(claim: Claim) -> Verdict:
    """The verdict within limits; needs the main thread of its process. This is what a worker runs."""
    verifier = verifier_of(claim)
    return _graded(verifier, claim, within_limits(lambda: _reason(verifier, claim)))


def judge_own_gold(claim: Claim) -> Verdict:
    """Whether the gold of a claim is fit to judge others: it parses and equals itself. The answer is not looked at."""
    own = claim._replace(answer=claim.gold)
    verifier = verifier_of(own)
    if verifier.judge_gold is None:
        return judge_claim(own)
    return within_limits(lambda: verifier.judge_gold(own))


def within_limits(judge: Callable[[], str]) -> Verdict:
    """Runs a judge under the time limit; running out of time or memory is a verdict, anything else raises."""
    start = time.perf_counter()
    try:
        with time_limit(PROCESSOR_SECONDS):
            reason = judge()
    except OutOfTime:
        reason = "timeout"
    except MemoryError:
        reason = "killed"
    return Verdict(reason == "ok", reason, time.perf_counter() - start)


def verifier_of(claim: Claim) -> Verifier:
    """The verifier of the claim's type; one's own judge, named `module.function`, runs within limits.

    Raises UserError where there is none, or where it lacks the simulator that it needs. Never another type's verifier.
    """
    if claim.answer_type == "actions":
        load_simulator(claim.rules.simulator)
    if claim.answer_type in VERIFIERS:
        return VERIFIERS[claim.answer_type]
    if not known_answer_type(claim.answer_type):
        raise UserError(f"answer_type {claim.answer_type!r} has no verifier; there are {', '.join(VERIFIERS)}")
    judge = by_dotted_name(claim.answer_type, "answer_type", "a function that takes a Claim")
    return Verifier(judge, quick=False)


def _reason(verifier: Verifier, claim: Claim) -> str:
    r"""The judge's reason. All but mathematics, which reads sentences itself, are given the answer out of its box."""
    if claim.answer_type == "math":
        return verifier.judge(claim)
    if len(claim.answer) > LONGEST_ANSWER:
        return "unparsable"
    answer = stated_answer(claim.answer)
    if answer is None:
        return "wrong"
    if claim.answer_type == "choice":  # whose announcement tells the letter from an article
        return verifier.judge(claim)
    return verifier.judge(claim._replace(answer=answer)) if answer else "unparsable"


def _quick_mathematics(claim: Claim) -> str | None:
    reason = quick_reason(claim.gold, claim.answer, percent=claim.rules.percent)
    tolerant = claim.rules.relative_tolerance or claim.rules.absolute_tolerance
    # What is not the gold itself may still be near enough to it.
    return None if tolerant and reason != "ok" else reason


def _graded(verifier: Verifier, claim: Claim, verdict: Verdict) -> Verdict:
    if verifier.grade is None:
        return verdict
    answer = stated_answer(claim.answer) if len(claim.answer) <= LONGEST_ANSWER else None
    return replace(verdict, grade=verifier.grade(claim._replace(answer=answer)) if answer else 0.0)
