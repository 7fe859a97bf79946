"""Letters out of sentences: what a text announces, and letters that are articles, variables or other options."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmm_r1.rewards import verify
from lmm_r1.rewards.answers.choice_statement import choice_statement, picked

OPTIONS = ("left of the lamp", "right of the lamp", "above the lamp", "below the lamp")
CASES = [
    json.loads(line) for line in (Path(__file__).parent / "choice_cases.jsonl").read_text(encoding="utf-8").splitlines()
]
"""`choices` is `listed` where the options' texts decide, `any` where the same goes without them; `scope` likewise."""


def name_of(case: dict) -> str:
    return f"{case['why']}: {case['gold']} ~ {case['answer'][:60]}"


def scopes(case: dict) -> tuple[str, ...]:
    return ("answer", "response") if case["scope"] == "any" else (case["scope"],)


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_letter_is_taken_where_the_text_says_that_it_is_the_answer(case: dict) -> None:
    for scope in scopes(case):
        verdict = verify(case["gold"], case["answer"], "choice", choices=OPTIONS, scope=scope)
        assert verdict.correct is case["correct"], (scope, verdict.reason)
        if case["choices"] == "any":
            verdict = verify(case["gold"], case["answer"], "choice", scope=scope)
            assert verdict.correct is case["correct"], (scope, verdict.reason, "no options")


@pytest.mark.parametrize("case", [case for case in CASES if case["choices"] == "any"], ids=name_of)
def test_mathematics_whose_gold_is_a_letter_reads_it_alike(case: dict) -> None:
    for scope in scopes(case):
        assert verify(case["gold"], case["answer"], "math", scope=scope).correct is case["correct"]


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_the_statement_of_a_statement_is_itself(case: dict) -> None:
    statement = choice_statement(case["answer"])
    assert choice_statement(statement) == statement
    assert picked(statement).said == picked(case["answer"]).said


def test_there_are_enough_cases_of_both_kinds_and_none_twice() -> None:
    assert len({(case["gold"], case["answer"]) for case in CASES}) == len(CASES) >= 140
    assert sum(not case["correct"] for case in CASES) >= 60


@pytest.mark.parametrize(
    "piece",
    [
        *("answer ", "answer is ", "so ", "so C. ", "#### C\n", "选C ", "C is correct. ", "\n", "A", "(", "$", "答案"),
        *("choose ", "is ", "选", "C is ", "option "),
    ],
)
def test_looking_for_a_choice_takes_time_linear_in_the_text(piece: str) -> None:
    """A quadratic search would take minutes for these, and the suite would be stopped."""
    choice_statement(piece * 20_000)
