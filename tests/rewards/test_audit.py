"""Golds verified against themselves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmm_r1.errors import UserError
from lmm_r1.rewards.audit import GoldAudit, verify_golds
from lmm_r1.rewards.pool import VerifierPool
from lmm_r1.rewards.verify import Claim, Verdict, verify
from lmm_r1.types import Problem


@pytest.fixture(scope="module")
def pool() -> Iterator[VerifierPool]:
    """One for all tests: its processes take seconds to start."""
    pool = VerifierPool()
    yield pool
    pool.close()


def problems(*golds: str, answer_type: str = "math", choices: tuple[str, ...] = ()) -> list[Problem]:
    return [Problem("p", "?", gold, answer_type, choices=choices) for gold in golds]


def test_plain_numbers_start_no_process() -> None:
    pool = VerifierPool()
    audit = verify_golds(problems("5", "$-3.5$", "1,234", r"\boxed{7}"), pool)
    assert audit.kept == [0, 1, 2, 3]
    assert not pool.started


def test_golds_that_cannot_judge_are_dropped_with_a_reason(pool: VerifierPool) -> None:
    golds = ("5", "", "x+1", r"\frac{", "9^{9^{9^9}}", r"\frac{1}{2}", " ")
    audit = verify_golds(problems(*golds), pool)
    assert audit.kept == [0, 2, 5]
    assert audit.dropped == {1: "no_answer", 3: "unparsable", 4: "unparsable", 6: "no_answer"}
    assert audit.reasons == {"no_answer": 2, "unparsable": 2}


def test_typed_golds(pool: VerifierPool) -> None:
    assert verify_golds(problems("B", "red", "D", answer_type="choice", choices=("red", "blue")), pool).kept == [0, 1]
    assert verify_golds(problems("yes", "perhaps", answer_type="yes_no"), pool).kept == [0]
    assert verify_golds(problems("5", "five", answer_type="number"), pool).kept == [0]
    assert verify_golds(problems("five", answer_type="text"), pool).kept == [0]


def types(audit: GoldAudit) -> dict[int, str]:
    return {row: retyping.answer_type for row, retyping in audit.retyped.items()}


def test_every_row_is_kept_or_retyped_or_dropped(pool: VerifierPool) -> None:
    golds = ("5", "yes", "blue", "", r"\frac{", "x+1", r"\text{Friday}")
    audit = verify_golds(problems(*golds), pool)
    assert sorted([*audit.kept, *audit.retyped, *audit.dropped]) == list(range(len(golds)))
    assert audit.usable == [0, 1, 2, 5, 6]


def test_words_are_judged_as_words_because_mathematics_makes_products_of_their_letters(pool: VerifierPool) -> None:
    golds = ("blue", "No", "True", "triangle", r"\text{Evelyn}", "Bugs Bunny")
    audit = verify_golds(problems(*golds), pool)
    assert types(audit) == {0: "text", 1: "yes_no", 2: "yes_no", 3: "text", 4: "text", 5: "text"}
    for row, anagram in ((0, "lube"), (1, "on"), (2, "eTru")):
        assert not verify(golds[row], anagram, audit.retyped[row].answer_type).correct
        assert verify(golds[row], golds[row], audit.retyped[row].answer_type).correct


@pytest.mark.parametrize("gold", ["AB", "xy", "abc", "C", "x", r"\pi", r"\sin x", "2x", "(a)", r"\frac{1}{2}"])
def test_what_may_be_a_product_or_a_formula_stays_mathematics(pool: VerifierPool, gold: str) -> None:
    assert verify_golds(problems(gold), pool).kept == [0]


def test_a_listed_choice_is_judged_as_a_choice_unless_it_is_a_number(pool: VerifierPool) -> None:
    colours = problems("B", "green", "orange", "C", choices=("red", "green"))
    audit = verify_golds(colours, pool)
    assert types(audit) == {0: "choice", 1: "choice", 2: "text"}
    assert audit.kept == [3]
    assert verify_golds(problems("8.5", choices=("7.5", "8.5")), pool).kept == [0]


def test_a_number_that_is_none_may_be_mathematics(pool: VerifierPool) -> None:
    audit = verify_golds(problems("5", "x^2", "1/0", "five", r"\frac{", answer_type="number"), pool)
    assert audit.kept == [0]
    assert types(audit)[1] == "math" and types(audit)[3] == "text"
    assert 4 in audit.dropped


def test_declared_words_and_choices_are_never_retyped(pool: VerifierPool) -> None:
    for answer_type, gold in (("yes_no", "blue"), ("choice", "blue"), ("text", "yes")):
        assert verify_golds(problems(gold, answer_type=answer_type), pool).retyped == {}


@settings(max_examples=100)
@given(st.text(st.sampled_from("abxyzA123.,-+/$\\{}() '"), min_size=1, max_size=8))
def test_a_retyped_gold_verifies_as_its_new_type(gold: str) -> None:
    # Declared as a number, so that words and formulas alike are candidates; only what needs no process is looked at.
    row = problems(gold, answer_type="number")[0]
    audit = verify_golds([row], NoAlgebra())
    for retyping in audit.retyped.values():
        assert retyping.answer_type in ("yes_no", "text")
        assert verify(gold, gold, retyping.answer_type).correct


class NoAlgebra(VerifierPool):
    """Finds everything that needs algebra unparsable, without a process."""

    def judge(self, verifier: Callable, claims: Sequence[Claim]) -> list[Verdict]:
        return [Verdict(False, "unparsable", 0.0) for _ in claims]


def test_an_unknown_type_is_a_configuration_error(pool: VerifierPool) -> None:
    with pytest.raises(UserError, match="'integer'"):
        verify_golds(problems("5", answer_type="integer"), pool)


def test_every_gold_of_gsm8k_verifies_against_itself_without_a_worker(shared_data: Path) -> None:
    lines = (shared_data / "text/gsm8k/train.jsonl").read_text(encoding="utf-8").splitlines()
    rows = problems(*(json.loads(line)["answer"].rsplit("####", 1)[1].strip() for line in lines))
    pool = VerifierPool()
    audit = verify_golds(rows, pool)
    assert len(audit.kept) == len(rows) == 7473
    assert not pool.started


@pytest.mark.slow
def test_golds_of_math_500(pool: VerifierPool, shared_data: Path) -> None:
    lines = (shared_data / "text/math/math500.jsonl").read_text(encoding="utf-8").splitlines()
    audit = verify_golds(problems(*(json.loads(line)["answer"] for line in lines)), pool)
    assert len(audit.usable) >= 498


@pytest.mark.parametrize(
    ("file", "gold", "choices", "usable"),
    [
        ("text/aime/train_1983_2023.jsonl", "answer", None, 975),
        ("text/amc/amc23.jsonl", "answer", None, 40),
        ("image/puzzlevqa/subset.jsonl", "answer", "options", 500),
        ("image/geometry3k_mini/intergps_examples.jsonl", "answer", "choices", 10),
        ("image/mathvista/testmini_geometry3k.jsonl", "answer", "choices", 19),
    ],
)
@pytest.mark.slow
def test_golds_of_published_sets(
    pool: VerifierPool, shared_data: Path, file: str, gold: str, choices: str | None, usable: int
) -> None:
    lines = (shared_data / file).read_text(encoding="utf-8").split("\n")
    rows = [json.loads(line) for line in lines if line]
    golds = [
        Problem("p", "?", str(row[gold]), choices=tuple(map(str, row[choices] if choices else ()))) for row in rows
    ]
    assert len(verify_golds(golds, pool).usable) >= usable
