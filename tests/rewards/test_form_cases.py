"""Vectors, sequences with dots, and remarks on letters: forms of an answer that are one, and those that are not."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmm_r1.rewards import verify
from lmm_r1.rewards.answers.mathematics import judge_gold
from lmm_r1.rewards.answers.remarks import split_remark
from lmm_r1.rewards.answers.sequences import has_dots, judge_sequences, terms
from lmm_r1.rewards.answers.vectors import judge_vectors, parse_vector, prepared
from lmm_r1.rewards.verify import Claim, judge_own_gold

CASES = [
    json.loads(line) for line in (Path(__file__).parent / "form_cases.jsonl").read_text(encoding="utf-8").splitlines()
]


def alike(gold: str, answer: str) -> bool:
    return gold == answer


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['kind']}: {case['gold']} ~ {case['answer']}")
def test_an_answer_may_have_another_form_but_no_other_meaning(case: dict) -> None:
    for answer_type in case["answer_types"]:
        verdict = verify(case["gold"], case["answer"], answer_type)
        assert verdict.correct is case["correct"], (answer_type, verdict.reason)


@pytest.mark.parametrize("case", [case for case in CASES if case["kind"] == "remark"], ids=lambda case: case["answer"])
def test_a_remark_is_read_in_a_response_too(case: dict) -> None:
    assert verify(case["gold"], case["answer"], scope="response").correct is case["correct"]


def test_every_kind_has_right_and_wrong_answers_and_none_stands_twice() -> None:
    assert len({(case["gold"], case["answer"], *case["answer_types"]) for case in CASES}) == len(CASES)
    counts = Counter((case["kind"], case["correct"]) for case in CASES)
    assert all(counts[kind, correct] >= 30 for kind in ("vector", "sequence", "remark") for correct in (True, False))


@pytest.mark.parametrize(
    ("gold", "answer_type"),
    [
        *(
            (gold, "math")
            for gold in (r"2, 4, \ldots, 2m", r"n=3k\text{ for integers }k", r"x\ne 3", r"x<1\text{ or }x>3")
        ),
        *((gold, "tuple") for gold in (r"\langle 2,-5,1\rangle", r"\begin{pmatrix}1\\2\end{pmatrix}", r"(1,\ldots,n)")),
        *((gold, "set") for gold in (r"\{1,2,\ldots,n\}", r"\{x\mid x>2\}", r"\emptyset")),
    ],
)
def test_a_gold_in_such_a_form_is_fit_to_judge_others(gold: str, answer_type: str) -> None:
    assert judge_own_gold(Claim(gold, "", answer_type)).reason == "ok"


def test_a_gold_of_broken_terms_is_not() -> None:
    assert judge_gold(r"1, \frac{1}{, \ldots, n") == "unparsable"
    assert judge_own_gold(Claim(r"1+\ldots+n", "", "set")).reason == "unparsable"


@given(st.text(alphabet=r"12,;.…()[]{}<>⟨⟩\langle\rangle\ldots\begin{pmatrix}\end&ijk+-=for integers \in", max_size=60))
def test_reading_such_forms_never_raises(text: str) -> None:
    has_dots(text)
    terms(text)
    judge_sequences(text, "1, 2", alike)
    judge_vectors(text, "(1, 2)", alike)
    parse_vector(prepared(text))
    split_remark(text)


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "...",
            ", ",
            "k, ",
            "for ",
            "for all k ",
            "∈",
            "k and ",
            r"\in ",
            "⟨",
            "<1,",
            "(",
            r"\begin{pmatrix}",
            "i+",
            "2i",
        ),
        *(r"\mathbf{i}+", "an integer ", "1, ", ". ", r"\ldots, ", "integers ", r"^{T}", r"\text{"),
    ],
)
def test_reading_such_forms_takes_little_time_whatever_they_are(piece: str) -> None:
    """A quadratic search would take minutes for the first, an exponential one for the others."""
    split_remark(piece * 20_000)
    answer = (piece * 512)[:512]
    judge_sequences(answer, "1, 2", alike)
    judge_vectors(answer, "(1, 2)", alike)
