"""The one door: is this answer right?"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from lmm_r1.errors import UserError
from lmm_r1.rewards.answers.choice import judge_choice
from lmm_r1.rewards.answers.mathematics import judge_gold, judge_mathematics, quick_reason
from lmm_r1.rewards.answers.number import judge_number
from lmm_r1.rewards.answers.words import judge_text, judge_yes_no
from lmm_r1.rewards.extract import last_answer
from lmm_r1.rewards.limits import OutOfTime, time_limit

PROCESSOR_SECONDS = 3.0
"""What one verification may use; the slowest real ones take 0.3 s."""

LONGEST_ANSWER = 1024
"""Characters; a longer answer is not looked at, so that whatever it is costs the process that asks milliseconds."""

JUDGES: dict[str, Callable[[str, str, tuple[str, ...]], str]] = {
    "math": judge_mathematics,
    "number": judge_number,
    "choice": judge_choice,
    "yes_no": judge_yes_no,
    "text": judge_text,
}


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is right, and why not. Made by `verify`; becomes part of a `Score`."""

    correct: bool
    reason: str
    """`"ok"`, `"wrong"`, `"no_answer"`, `"unparsable"`, `"timeout"`, or `"killed"` (no memory, or the process died)."""
    seconds: float
    """What it took, wall clock."""


class Claim(NamedTuple):
    """That `answer` is `gold`: what a verifier judges, and what is judged only once."""

    gold: str
    answer: str
    answer_type: str
    choices: tuple[str, ...] = ()


def verify(
    gold: str, text: str, answer_type: str = "math", *, choices: tuple[str, ...] = (), scope: str = "answer"
) -> Verdict:
    """Judges one answer against the gold, in this process where that is safe.

    `text` is the answer itself (`scope="answer"`) or a whole response whose last answer counts (`scope="response"`).
    Algebra is limited to `PROCESSOR_SECONDS`; off the main thread, where no limit can be set, it runs in a process of
    its own, which costs a second. Only a `VerifierPool` bounds memory and operations inside C as well: whoever judges
    what a policy wrote uses that.

    Raises UserError for an answer type that has no verifier.
    """
    if scope not in ("answer", "response"):
        raise ValueError(f"scope is {scope!r}; it is 'answer' or 'response'")
    answer = text if scope == "answer" else last_answer(text)
    if answer is None or not answer.strip():
        require_verifier(answer_type)
        return Verdict(False, "no_answer", 0.0)
    claim = Claim(gold, answer, answer_type, tuple(choices))
    quick = quick_verdict(claim)
    if quick is not None:
        return quick
    if threading.current_thread() is threading.main_thread():
        return judge_claim(claim)
    from lmm_r1.rewards.pool import VerifierPool  # here, because the pool's module builds on this one

    with VerifierPool(workers=1) as pool:
        return pool.judge(judge_claim, [claim])[0]


def quick_verdict(claim: Claim) -> Verdict | None:
    """The verdict where string work or exact arithmetic settles it, in linear time; None where algebra is needed.

    Raises UserError for an answer type that has no verifier.
    """
    require_verifier(claim.answer_type)
    if len(claim.answer) > LONGEST_ANSWER:
        return Verdict(False, "unparsable", 0.0)
    start = time.perf_counter()
    if claim.answer_type == "math":
        reason = quick_reason(claim.gold, claim.answer)
    else:
        reason = JUDGES[claim.answer_type](claim.gold, claim.answer, claim.choices)
    if reason is None:
        return None
    return Verdict(reason == "ok", reason, time.perf_counter() - start)


def judge_claim(claim: Claim) -> Verdict:
    """The verdict within limits; needs the main thread of its process. This is what a worker runs."""
    judge = JUDGES[claim.answer_type]
    return within_limits(lambda: judge(claim.gold, claim.answer, claim.choices))


def judge_own_gold(claim: Claim) -> Verdict:
    """Whether the gold of a claim is fit to judge others: it parses and equals itself. The answer is not looked at."""
    if claim.answer_type == "math":
        return within_limits(lambda: judge_gold(claim.gold))
    return judge_claim(claim._replace(answer=claim.gold))


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


def require_verifier(answer_type: str) -> None:
    if answer_type not in JUDGES:
        raise UserError(f"answer_type {answer_type!r} has no verifier; there are {', '.join(JUDGES)}")
