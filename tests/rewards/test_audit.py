"""Golds verified against themselves."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from lmm_r1.errors import UserError
from lmm_r1.rewards.audit import verify_golds
from lmm_r1.rewards.pool import VerifierPool
from lmm_r1.types import Problem


def problems(*golds: str, answer_type: str = "math", choices: tuple[str, ...] = ()) -> list[Problem]:
    return [Problem("p", "?", gold, answer_type, choices=choices) for gold in golds]


def test_plain_numbers_start_no_process() -> None:
    pool = VerifierPool()
    audit = verify_golds(problems("5", "$-3.5$", "1,234", r"\boxed{7}"), pool)
    assert audit.kept == [0, 1, 2, 3]
    assert not pool.started


def test_golds_that_cannot_judge_are_dropped_with_a_reason() -> None:
    golds = ("5", "", "x+1", r"\frac{", "9^{9^{9^9}}", r"\frac{1}{2}", " ")
    audit = verify_golds(problems(*golds))
    assert audit.kept == [0, 2, 5]
    assert audit.dropped == {1: "no_answer", 3: "unparsable", 4: "unparsable", 6: "no_answer"}
    assert audit.reasons == {"no_answer": 2, "unparsable": 2}


def test_typed_golds() -> None:
    assert verify_golds(problems("B", "red", "D", answer_type="choice", choices=("red", "blue"))).kept == [0, 1]
    assert verify_golds(problems("yes", "perhaps", answer_type="yes_no")).kept == [0]
    assert verify_golds(problems("5", "five", answer_type="number")).kept == [0]
    assert verify_golds(problems("five", answer_type="text")).kept == [0]


def test_an_unknown_type_is_a_configuration_error() -> None:
    with pytest.raises(UserError, match="'integer'"):
        verify_golds(problems("5", answer_type="integer"))


def test_every_gold_of_gsm8k_verifies_against_itself_in_no_time(shared_data: Path) -> None:
    lines = (shared_data / "text/gsm8k/train.jsonl").read_text(encoding="utf-8").splitlines()
    rows = problems(*(json.loads(line)["answer"].rsplit("####", 1)[1].strip() for line in lines))
    pool = VerifierPool()
    start = time.process_time()
    audit = verify_golds(rows, pool)
    assert len(audit.kept) == len(rows) == 7473
    assert not pool.started
    assert time.process_time() - start < 3


@pytest.mark.slow
def test_golds_of_math_500(shared_data: Path) -> None:
    lines = (shared_data / "text/math/math500.jsonl").read_text(encoding="utf-8").splitlines()
    audit = verify_golds(problems(*(json.loads(line)["answer"] for line in lines)))
    assert len(audit.kept) >= 490
