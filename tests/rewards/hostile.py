"""What the worker processes of the pool's tests run; a module of its own, because it travels by name."""

from __future__ import annotations

import os
import sys
import time
from types import SimpleNamespace

from lmm_r1.rewards.extract import extract_answer, last_answer
from lmm_r1.rewards.format import think_answer_format
from lmm_r1.rewards.limits import OutOfTime
from lmm_r1.rewards.released import released_format
from lmm_r1.rewards.verify import Claim, Verdict, quick_verdict, within_limits

MOMENT_SECONDS = 0.05


def never_end(claim: Claim) -> Verdict:
    """One operation inside C that no signal handler of Python interrupts."""
    return Verdict(bool(3 ** (10**10)), "ok", 0.0)


def fill_memory(claim: Claim) -> Verdict:
    return within_limits(lambda: "ok" if bytearray(8 * 2**30) else "wrong")


def die(claim: Claim) -> Verdict:
    os._exit(9)


def faulty(claim: Claim) -> Verdict:
    return Verdict(bool(1 // 0), "ok", 0.0)


def heavy_imports(claim: Claim) -> Verdict:
    """Which of these the worker has imported, as its reason."""
    return Verdict(True, " ".join(name for name in ("torch", "hydra") if name in sys.modules), 0.0)


def stamp(claim: Claim) -> Verdict:
    """A reason that differs each time this runs."""
    return Verdict(True, f"{os.getpid()} {time.monotonic_ns()}", 0.0)


def process_id(claim: Claim) -> Verdict:
    return Verdict(True, str(os.getpid()), 0.0)


def read_response(claim: Claim) -> Verdict:
    """All that looks at a whole response outside the workers; the response stands in place of the answer."""
    extract_answer(claim.answer)
    last_answer(claim.answer)
    think_answer_format(claim.answer, truncated=False)
    released_format(SimpleNamespace(completion=SimpleNamespace(text=claim.answer)))
    return Verdict(False, "read", 0.0)


def judge_quickly(claim: Claim) -> Verdict:
    """All that looks at an answer outside the workers."""
    quick_verdict(claim)
    return Verdict(False, "read", 0.0)


def run_out_of_time(claim: Claim) -> Verdict:
    def judge() -> str:
        raise OutOfTime

    return within_limits(judge)


def slowly(claim: Claim) -> Verdict:
    """A second that costs no processor time."""
    time.sleep(1.0)
    return Verdict(True, "ok", 1.0)


def use_a_moment(claim: Claim) -> Verdict:
    """Processor time, a small part of any limit."""
    end = time.process_time() + MOMENT_SECONDS
    while time.process_time() < end:
        pass
    return Verdict(True, "ok", MOMENT_SECONDS)
