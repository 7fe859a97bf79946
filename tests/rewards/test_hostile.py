"""Hostile answers get the right verdict, cost a bounded amount, and change nothing for the others."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from lmm_r1.rewards.accuracy import AnswerAccuracy
from lmm_r1.rewards.pool import VerifierPool
from lmm_r1.rewards.verify import LONGEST_ANSWER, VERIFIERS, Claim, Verdict, judge_claim, verify
from lmm_r1.rollout.store import RolloutStore
from lmm_r1.types import Completion, Group, Problem, Score

# What a worker runs travels by name, so it lives in a module that the worker can import as well.
sys.path.insert(0, str(Path(__file__).parent))
import hostile
from hostile_answers import CHEAP, CODE, DEAR, FLOODS, SHORT_FLOODS
from processes import descendants, peak_memory

MEMORY_GIB = 1.0
FLOOD = 100_000
ANSWER_TYPES = [name for name in VERIFIERS if name != "actions"]
"""Actions are played by a simulator, which is the caller's."""

GOLDS = ("5", "x^2+1")


@pytest.fixture(scope="module")
def accuracy() -> Iterator[AnswerAccuracy]:
    accuracy = AnswerAccuracy(workers=2, timeout=2.0, memory_gib=MEMORY_GIB)
    yield accuracy
    accuracy.close()


def item(gold: str, answer: str) -> tuple[Problem, Completion]:
    text = f"<think>Let me see.</think><answer>{answer}</answer>"
    return Problem(id="p", question="?", answer=gold), Completion((1,), (0.0,), text, "stop", 0)


def judged_among_good_ones(accuracy: AnswerAccuracy, items: Sequence[tuple[Problem, Completion]]) -> list[Verdict]:
    """The verdicts on the items; after each comes a right answer that needs a worker, and all of these are right."""
    mixed = [
        one
        for number, hostile_item in enumerate(items)
        for one in (hostile_item, item(f"(x+{number})^2", f"x^2+{2 * number}x+{number**2}"))
    ]
    verdicts = accuracy.judge(mixed)
    assert all(verdict.correct for verdict in verdicts[1::2])
    return verdicts[0::2]


@contextmanager
def peak_of_the_workers() -> Iterator[list[int]]:
    """Watches all processes below this one; afterwards the list holds the most memory that one of them had."""
    over, peaks = threading.Event(), [0]

    def watch() -> None:
        while not over.wait(0.5):
            peaks.extend(peak_memory(process) for process in descendants(os.getpid()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peaks
    finally:
        over.set()
        watcher.join()


def test_hostile_answers_are_wrong_and_the_others_are_judged_as_ever(accuracy: AnswerAccuracy) -> None:
    cases = [(name, gold) for name in CHEAP for gold in GOLDS]
    with peak_of_the_workers() as peaks:
        verdicts = judged_among_good_ones(accuracy, [item(gold, CHEAP[name]) for name, gold in cases])
    reasons = {case: verdict.reason for case, verdict in zip(cases, verdicts, strict=True)}
    assert {reason for reason in reasons.values()} <= {"wrong", "unparsable"}, reasons
    assert 2**20 < max(peaks) <= MEMORY_GIB * 2**30


@pytest.mark.slow
def test_what_no_pattern_catches_is_ended_in_time(accuracy: AnswerAccuracy) -> None:
    with peak_of_the_workers() as peaks:
        verdicts = judged_among_good_ones(accuracy, [item("5", answer) for answer in DEAR.values()])
    assert {verdict.reason for verdict in verdicts} == {"timeout"}, dict(zip(DEAR, verdicts, strict=True))
    assert max(peaks) <= MEMORY_GIB * 2**30
    statistics = accuracy.statistics()
    assert (statistics["timeouts"], statistics["killed"]) == (len(DEAR), 0)


def test_there_are_enough_of_them() -> None:
    assert len(CHEAP) + len(DEAR) + len(CODE) >= 40


@pytest.mark.parametrize("answer_type", ANSWER_TYPES)
def test_no_code_is_run(accuracy: AnswerAccuracy, answer_type: str, tmp_path: Path) -> None:
    executed = tmp_path / "x"
    codes = [code.format(*[executed] * code.count("{}")) for code in CODE]
    problem = Problem(id="p", question="?", answer="x^2+1", answer_type=answer_type)
    verdicts = accuracy.judge([(problem, item("", code)[1]) for code in codes])
    assert not any(verdict.correct for verdict in verdicts)
    assert not any(verify(gold, code, answer_type).correct for code in codes[:4] for gold in GOLDS)
    assert not executed.exists()


def flood(pattern: str, unit: str, length: int) -> str:
    count = (length - len(pattern)) // len(unit)
    head, _, tail = pattern.replace("{{", "{").partition("{}")
    return head + unit * count + tail


def test_no_expression_takes_more_than_linear_time_on_a_response() -> None:
    texts = [flood(pattern, unit, FLOOD) for pattern, unit in FLOODS.values()]
    with VerifierPool(workers=2, timeout=3.0) as pool:
        verdicts = pool.judge(hostile.read_response, [Claim("5", text, "math") for text in texts])
    slow = [name for name, verdict in zip(FLOODS, verdicts, strict=True) if verdict.reason != "read"]
    assert slow == []


@pytest.mark.parametrize("length", [LONGEST_ANSWER, FLOOD])
def test_the_quick_verdict_is_quick_on_everything(length: int) -> None:
    claims = {
        (name, kind): Claim("5", flood(pattern, unit, length), kind, ("red", "blue") if kind == "choice" else ())
        for name, (pattern, unit) in SHORT_FLOODS.items()
        for kind in ANSWER_TYPES
    }
    nested = r"\boxed{" * (length // 8) + "}" * (length // 8)
    claims |= {("nested boxes", kind): Claim("5", nested, kind) for kind in ANSWER_TYPES}
    with VerifierPool(workers=2, timeout=2.0) as pool:
        verdicts = pool.judge(hostile.judge_quickly, list(claims.values()))
    assert [case for case, verdict in zip(claims, verdicts, strict=True) if verdict.reason != "read"] == []


def test_half_characters_survive_the_pool_the_cache_json_and_the_store(
    accuracy: AnswerAccuracy, tmp_path: Path
) -> None:
    claim = Claim("\udc00x", "\ud800x+1", "math")
    first = accuracy.pool.judge(judge_claim, [claim])
    hits = accuracy.pool.statistics["cache_hits"]
    assert accuracy.pool.judge(judge_claim, [Claim(*json.loads(json.dumps(claim[:3])))]) == first
    assert accuracy.pool.statistics["cache_hits"] == hits + 1
    problem = Problem(id="p", question="how \ud800?", answer="\udc005", choices=("\ud8001",))
    completion = Completion((1,), (0.0,), "half \ud800 a character \x00", "stop", 0)
    group = Group(problem, (1,), [completion], [Score(0.0, {"accuracy": 0.0}, False, "wrong")])
    store = RolloutStore(tmp_path)
    store.write([group], step=1, rank=0)
    read = store.read_step(1)[0]
    assert read.completions[0].text == "half \ufffd a character \x00"
    assert (read.problem.question, read.problem.answer, read.problem.choices) == (
        "how \ufffd?",
        "\ufffd5",
        ("\ufffd1",),
    )
