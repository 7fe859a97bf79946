"""Single mathematical answers: what must count as right, and the traps that must not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmm_r1.rewards import verify
from lmm_r1.rewards.answers.guards import LONGEST_RESPONSE, hopeless
from lmm_r1.rewards.answers.markup import bare
from lmm_r1.rewards.answers.mathematics import judge_gold, judge_mathematics, quick_reason
from lmm_r1.rewards.extract import last_answer

CASES = [
    json.loads(line)
    for line in (Path(__file__).parent / "mathematics_cases.jsonl").read_text(encoding="utf-8").splitlines()
]

DISAGREEMENTS_WITH_MATH_V = {
    # The label wants the bare 2 where the box says 2 ft, and the bare 4 where it says 4 cm^2; (√3/49)^6 is called equal
    # to 7^3 / (2^12 · 13^2), and is not.
    "gemini_pro_cot": {"1212", "2208", "2825"},
    # 1/55 is called equal to 1/60.
    "qwen_vl_max_cot": {"2827"},
    # The label wants the bare 17.5 where the box says 17.5 cm^2; 1/3 is called equal to (3^1008 - 1) / 3^1009.
    "internlm_xcomposer2_vl_cot": {"1480", "2822"},
}


def name_of(case: dict) -> str:
    return f"{case['why']}: {case['gold']} ~ {case['answer']}"


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_verdict(case: dict) -> None:
    verdict = verify(case["gold"], case["answer"], case["answer_type"], scope=case["scope"])
    assert verdict.correct is case["correct"], verdict.reason


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_an_answer_and_a_response_that_is_only_the_answer_get_the_same_verdict(case: dict) -> None:
    other = "response" if case["scope"] == "answer" else "answer"
    assert verify(case["gold"], case["answer"], scope=other).correct is case["correct"]


def test_there_are_enough_cases_of_both_kinds_and_none_twice() -> None:
    assert len({(case["gold"], case["answer"]) for case in CASES}) == len(CASES) >= 320
    assert sum(not case["correct"] for case in CASES) >= 130


@pytest.mark.parametrize(
    ("gold", "answer", "fraction", "number", "either"),
    [
        (r"50\%", "0.5", "ok", "wrong", "ok"),
        (r"50\%", "50", "wrong", "ok", "ok"),
        (r"50\%", r"\frac12", "ok", "wrong", "ok"),
        (r"50\%", r"\sqrt{2500}", "wrong", "ok", "wrong"),
        ("0.5", r"0.5\%", "wrong", "ok", "wrong"),
        ("50", r"50\%", "wrong", "ok", "ok"),
        (r"50\%", r"50\%", "ok", "ok", "ok"),
        (r"50\%", r"5\%", "wrong", "wrong", "wrong"),
    ],
)
def test_percent_follows_the_convention(gold: str, answer: str, fraction: str, number: str, either: str) -> None:
    for convention, reason in (("fraction", fraction), ("number", number), ("either", either)):
        assert judge_mathematics(gold, answer, percent=convention) == reason
        assert quick_reason(gold, answer, convention) in (reason, None)


@pytest.mark.parametrize("gold", ["5", r"\frac{1}{2}", r"$x^2+1$", r"5\text{ cm}", r"50\%", r"\{1,2\}", "x=3", "1, 2"])
def test_a_sound_gold_equals_itself(gold: str) -> None:
    assert judge_gold(gold) == "ok"


@pytest.mark.parametrize("gold", ["", r"\frac{1}{", "9^{9^{9^9}}"])
def test_a_gold_that_cannot_be_read_is_unparsable(gold: str) -> None:
    assert judge_gold(gold) == "unparsable"


@pytest.mark.parametrize(
    "expression",
    [
        "9^{9^{9}}",
        r"10^{-999999999}",
        "1e99999",
        "100000!",
        r"\binom{10^9}{10^8}",
        "(" * 13 + "5" + ")" * 13,
        "(x+y+z+w)^{60}",
        r"\left(1+x\right)^{9999}",
        "5}",
        "5" * 513,
        r"\left(9^9\right)^{9^9}",
        "[9^9]^{9^9}",
        "2^{-2^{30}}",
        "2^{1+99999999}",
        r"2^{\frac{99999999}{1}}",
        r"2^{9999\cdot 9999}",
        "2^{9^{9}x}",
        "x^{x^{x^{x}}}",
        "e^{e^{e^{e^{e}}}}",
        "9^{" * 10 + "9" + "}" * 10,
        "(9999!)^{9999}",
        "(99999+1)!",
        r"\binom{9^9}{9^8}",
        r"\binom{9999}{5000}^{9999}",
        r"\sqrt{2^{9999}+1}",
        "9999^{9999}9999^{9999}",
        "((x+y+z+w))^{60}",
        "((x+1)^{9}+1)^{9}",
        "(a+b)^{9}(c+d)^{9}(e+f)^{9}",
        "(x+y+1)^{20}(x-y)^{20}",
        r"(\sqrt{2}+\sqrt{3})^{2000}",
        r"(\cos x+\sin x)^{40}",
        r"\frac{x^{999}-1}{x-1}",
        r"\frac{1}{x+a}+\frac{1}{x+b}+\frac{1}{x+c}+\frac{1}{x+d}+\frac{1}{x+f}",
        r"\cos x\cos 2x\cos 4x\cos 8x\cos 16x",
        r"\sum_{k=1}^{9999} \frac{1}{k}",
        "x^" * 60 + "3",
    ],
)
def test_a_hopeless_expression_is_not_parsed(expression: str) -> None:
    assert hopeless(expression)
    assert judge_mathematics("x^2", expression) == "unparsable"


@pytest.mark.parametrize(
    "expression",
    [
        r"\left(2-\frac{1}{2}\right)^{2004}",
        "3^{9999}",
        "(x+1)^{100}",
        r"x^{-9999}",
        "(" * 12 + "5" + ")" * 12,
        r"\binom{100}{50}",
        r"\binom{1000000}{2}",
        "9999!",
        "10^{10^{4}}",
        "(9^{99})^{99}",
        "x^{y^{z}}",
        "((x+1)^{2}+1)^{10}",
        "(x+1)(x+2)(x+3)(x+4)(x+5)(x+6)(x+7)(x+8)",
        r"\left(\frac{1+\sqrt{5}}{2}\right)^{999}",
        r"\frac{x^{101}-1}{x-1}",
        r"\frac{1}{x+1}+\frac{1}{x+2}+\frac{1}{x+3}+\frac{1}{x+4}+\frac{1}{x+5}+\frac{1}{x+6}",
        r"\frac{1}{a}+\frac{1}{b}+\frac{1}{c}",
        r"\sin x\cos y\sin z",
        r"\cos\frac{\pi}{7}\cos\frac{2\pi}{7}\cos\frac{3\pi}{7}\cos\frac{4\pi}{7}\cos\frac{5\pi}{7}\cos\frac{6\pi}{7}",
        r"\sum_{k=1}^{999} \frac{1}{k}",
        "2^{0.123x}",
    ],
)
def test_what_ends_is_parsed(expression: str) -> None:
    assert not hopeless(expression)


def test_a_text_wrapped_very_often_is_left_as_it_is() -> None:
    """Unwrapping takes time quadratic in the depth, and no limit stands around it."""
    wrapped = r"\boxed{" * 3000 + "5" + "}" * 3000
    assert bare(wrapped) == wrapped
    assert bare(r"\boxed{" * 5 + "5" + "}" * 5) == "5"


def test_what_is_longer_than_a_response_is_no_answer() -> None:
    assert judge_mathematics("5", "so " * (LONGEST_RESPONSE // 3) + r"\boxed{5}") == "unparsable"


@pytest.mark.parametrize(
    "piece",
    [
        "#### 5 ",
        "####",
        "#### 1. a\n",
        "answer ",
        "答案",
        r"\boxed{",
        r"\boxed{5} ",
        "$",
        "$5$ and ",
        r"\[",
        r"\(",
        "answer is ",
        "1 2 ",
        "a. ",
        "5,",
        "**",
        "= ",
    ],
)
def test_looking_for_the_answer_takes_time_linear_in_the_text(piece: str) -> None:
    """A quadratic search would take minutes for these, and the suite would be stopped."""
    text = piece * 20_000
    last_answer(text)
    quick_reason("5", text)


@pytest.mark.parametrize(
    "model",
    [
        pytest.param("gemini_pro_cot", marks=pytest.mark.slow),
        pytest.param("qwen_vl_max_cot", marks=pytest.mark.slow),
        "internlm_xcomposer2_vl_cot",
    ],
)
def test_agrees_with_the_labels_of_math_v(model: str, shared_data: Path) -> None:
    """Whole responses to 1,394 free-form questions; every disagreement was read."""
    folder = shared_data / "responses/math_v"
    golds = {row["id"]: row for row in rows(folder / "gold.jsonl")}
    free_form = [row for row in rows(folder / f"{model}.jsonl") if not golds[row["id"]]["options"]]
    disagreements = {
        row["id"]
        for row in free_form
        if verify(golds[row["id"]]["answer"], row["response"], scope="response").correct != row["correct"]
    }
    assert len(free_form) == 1394
    assert disagreements == DISAGREEMENTS_WITH_MATH_V[model]


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
