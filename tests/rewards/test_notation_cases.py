"""How numbers and expressions are written: each way has answers that must be right, and the nearest wrong ones."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from lmm_r1.answer_rules import AnswerRules
from lmm_r1.rewards import verify
from lmm_r1.rewards.answers.equality import equal

CASES = [
    json.loads(line)
    for line in (Path(__file__).parent / "notation_cases.jsonl").read_text(encoding="utf-8").splitlines()
]


def name_of(case: dict) -> str:
    return f"{case['kind']}: {case['answer_type']} {case['gold']} ~ {case['answer']}"


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_notation(case: dict) -> None:
    rules = AnswerRules(relative_tolerance=case.get("relative_tolerance", 0.0))
    verdict = verify(case["gold"], case["answer"], case["answer_type"], rules=rules)
    assert verdict.correct is case["correct"], verdict.reason


def test_no_fraction_is_picked_out_of_words() -> None:
    """math_verify looks for one behind "answer" where it cannot read the whole."""
    assert equal(r"\frac{1}{2}", r"the answer is ]\frac{1}{2}|2") == "unparsable"


def test_every_kind_has_right_and_wrong_answers_and_none_stands_twice() -> None:
    assert len({(case["gold"], case["answer"], case["answer_type"], str(case)) for case in CASES}) == len(CASES)
    counts = Counter((case["kind"], case["correct"]) for case in CASES)
    assert all(counts[kind, correct] >= 5 for kind in {case["kind"] for case in CASES} for correct in (True, False))
