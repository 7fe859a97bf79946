"""Verdicts on single answers."""

from __future__ import annotations

import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lmm_r1.answer_rules import AnswerRules
from lmm_r1.errors import UserError
from lmm_r1.rewards import verify
from lmm_r1.rewards.verify import Claim, quick_verdict

sys.path.insert(0, str(Path(__file__).parent))
from hostile_answers import DEAR

RIGHT = [
    # integers and decimals
    ("5", "5"),
    ("5", "$5$"),
    ("$5$", r"\boxed{5}"),
    ("5", r"\boxed {5}"),
    ("5", r"\fbox{5}"),
    ("5", r"$\boxed{5}$."),
    ("5", "**5**"),
    ("5", "5.0"),
    ("5", "５"),
    ("60", "60."),
    ("-3", "- 3"),
    ("-3", "−3"),
    ("025", "25"),
    ("1234", "1,234"),
    ("1234", "1{,}234"),
    ("1234", r"\boxed{1\,234}"),
    ("10^6", "1,000,000"),
    ("18", "$18"),
    ("18", r"\$18.00"),
    # in a sentence
    ("18", "The answer is 18."),
    ("18", "She makes $18 every day."),
    ("5", "5 apples"),
    ("5", r"\boxed{5厘米}"),
    ("5", "答案是5。"),
    ("2", r"The answer is $\boxed{2}$"),
    # fractions, percent, degrees
    (r"\frac12", "0.5"),
    (r"\frac{1}{3}", "0.333333"),
    (r"\frac{1}{3}", r"0.\overline{3}"),
    (r"\frac{1}{6}", r"0.1\overline{6}"),
    ("5/4", "1 1/4"),
    (r"2\frac{1}{2}", "2.5"),
    (r"50\%", "0.5"),
    ("0.5", r"\boxed{50\%}"),
    ("60", "60°"),
    (r"60^\circ", "60"),
    (r"1.2\times10^{-4}", "0.00012"),
    # algebra
    (r"\sqrt{2}", r"\boxed{\sqrt{2}}"),
    (r"\sqrt{2}", "sqrt(2)"),
    (r"2\pi", "2*pi"),
    ("(x+1)^2", "x^2+2x+1"),
    (r"\sqrt{3+2\sqrt2}", r"1+\sqrt2"),
    (r"3\ln 2", r"\ln 8"),
    ("5", "x=5"),
    ("x=5", "5"),
    ("8", r"S_{\triangle ABC}=8"),
    (r"\pm2", "2,-2"),
    (r"\{3,2,1\}", r"\{1,2,3\}"),
    (r"\mathbb{R}\setminus\{0\}", r"(-\infty,0)\cup(0,\infty)"),
    (r"12\text{ cm}^2", "12"),
    ("A", "(A)"),
]

WRONG = [
    ("5", "7"),
    ("5", "5.0001"),
    ("0.00000012", r"\boxed{0.00000034}"),
    (r"\frac{1}{2^{99}}", r"\frac{1}{2^{98}}"),
    (r"\frac{1}{2004!}", r"\frac{1}{2006!}"),
    (r"\frac{1}{3}", "0.333"),
    # an equation is no value
    ("5", r"\boxed{1=5}"),
    ("5", r"\boxed{x=3=5}"),
    ("x=5", "y=5"),
    ("3x-y+13=0", r"\boxed{3x+4y+14=0}"),
    # hedges and lists
    ("1", "The answer is 1 1/4"),
    ("5", "I have no idea, 1 2 3 4 5"),
    ("7", "3 4"),
    ("2", "2,2"),
    ("2", "2,3"),
    ("2", r"2 \text{ or } 3"),
    ("5", r"\boxed{4}, \boxed{5}"),
    ("5", "$4$ or $5$"),
    # words that change a number
    ("5", "5 million apples"),
    ("5", "not 5"),
    ("5", "less than 5"),
    ("5", "-(5)"),
    ("5", "5!"),
    ("5", "5!."),
    ("5", "5x"),
    ("5", "5π"),
    ("5", "5²"),
    ("0.5", "0.5 percent"),
    # units and kinds of brackets
    (r"5\text{ cm}", r"\boxed{5\text{ km}}"),
    (r"5\text{ cm}", "5 km"),
    ("(1,2)", r"\boxed{\{1,2\}}"),
    ("(2,1)", "(1,2)"),
    ("[0,1)", "(0,1)"),
    ("x^2+1", "y^2+1"),
    (r"1-\frac{1}{\mathrm{e}}", "1"),
    # nothing to judge
    ("5", ""),
    ("5", "..."),
    ("5", "hello"),
    ("", ""),
]


@pytest.mark.parametrize(("gold", "answer"), RIGHT)
def test_right_answers(gold: str, answer: str) -> None:
    assert verify(gold, answer).correct


@pytest.mark.parametrize(("gold", "answer"), WRONG)
def test_wrong_answers(gold: str, answer: str) -> None:
    assert not verify(gold, answer).correct


@pytest.mark.parametrize(
    ("gold", "answer", "reason"),
    [
        ("5", "5", "ok"),
        ("5", "6", "wrong"),
        ("5", " ", "no_answer"),
        ("5", "hello", "unparsable"),
        pytest.param("5", DEAR["powers of tangents"], "timeout", marks=pytest.mark.slow),
        ("5", r"\binom{10^9}{10^8}", "unparsable"),
        ("5", "1" * 600, "unparsable"),
        ("5", "9^{9^{9^9}}", "unparsable"),
        ("5", "{" * 500, "unparsable"),
    ],
)
def test_reasons(gold: str, answer: str, reason: str) -> None:
    assert verify(gold, answer).reason == reason


OPTIONS = ("red", "dark blue", "7", "A cube")


@pytest.mark.parametrize(
    ("gold", "answer", "correct"),
    [
        *(("B", answer, True) for answer in ("B", "b", "(B)", "B.", "B)", r"\text{B}", r"$\boxed{B}$", "**B**")),
        *(("B", answer, True) for answer in ("dark blue", "Dark  Blue.", "B. dark blue", "(B) dark blue")),
        ("dark blue", "B", True),
        ("7", "C", True),
        ("C", "7", True),
        *(("B", answer, False) for answer in ("A", "A or B", "AB", "B, C", "B. red", "Because B", "blue", "E", "2")),
        ("Z", "Z", False),
    ],
)
def test_choice(gold: str, answer: str, correct: bool) -> None:
    assert verify(gold, answer, "choice", choices=OPTIONS).correct is correct


@pytest.mark.parametrize(
    ("answer", "correct"),
    [
        *((answer, True) for answer in ("The answer is B", r"So the answer is $\boxed{B}$.", "Option B")),
        *((answer, True) for answer in (r"\boxed{B}, \boxed{B}", "the correct option is (b)", "Answer: (B)")),
        *((answer, False) for answer in (r"\boxed{A} or \boxed{B}", "B or C", "not B", "B and dark blue")),
        *((answer, False) for answer in ("dark blue or red", "all of them", "Option B or C", "A, so B")),
    ],
)
def test_choice_in_a_sentence(answer: str, correct: bool) -> None:
    assert verify("B", answer, "choice", choices=OPTIONS).correct is correct


def test_choice_between_options_that_differ_in_case_alone() -> None:
    genotypes = ("bb", "Bb", "BB")
    assert verify("B", "Bb", "choice", choices=genotypes).correct
    assert not verify("B", "BB", "choice", choices=genotypes).correct
    assert not verify("B", "C", "choice", choices=genotypes).correct


def test_options_that_are_written_the_same_are_the_same() -> None:
    choices = ("9", "12", "18", "18")
    assert verify("18", "C", "choice", choices=choices).correct
    assert verify("18", "D", "choice", choices=choices).correct
    assert not verify("18", "B", "choice", choices=choices).correct
    assert not verify("A", "B", "choice", choices=("", "")).correct  # options that stand in the picture


def test_choice_without_listed_options_compares_letters() -> None:
    assert verify(r"$\boxed{A}$", "(a)", "choice").correct
    assert not verify("A", "B", "choice").correct


@pytest.mark.parametrize(
    ("gold", "answer", "correct"),
    [
        ("Yes", "yes.", True),
        ("no", r"\text{No}", True),
        ("yes", "True", True),
        ("no", "yes", False),
        ("no", "I do not know", False),
        ("no", "cannot say", False),
        ("yes", "yes and no", False),
        ("yes", "Yes, it is.", True),
        ("no", "No, it is not.", True),
        ("no", r"$\boxed{\text{No}}$", True),
        ("yes", "Yes, but no", False),
        ("yes", "Yes, or maybe", False),
        ("no", "No idea", False),
        ("yes", "yesterday", False),
        ("yes", "", False),
        ("maybe", "maybe", False),
    ],
)
def test_yes_no(gold: str, answer: str, correct: bool) -> None:
    assert verify(gold, answer, "yes_no").correct is correct


@pytest.mark.parametrize(
    ("gold", "answer", "correct"),
    [
        ("1,234", "1234.0", True),
        ("0.5", "1/2", True),
        ("0.5", r"\frac{1}{2}", True),
        ("-2", "x = -2", True),
        ("1/3", "0.333", False),
        ("5", "five", False),
        ("5", "nan", False),
        ("5", "4, 5", False),
        ("5", "5/0", False),
        ("nan", "nan", False),
    ],
)
def test_number(gold: str, answer: str, correct: bool) -> None:
    assert verify(gold, answer, "number").correct is correct


@pytest.mark.parametrize(
    ("gold", "answer", "correct"),
    [("Blue", "blue.", True), ("straße", "STRASSE", True), ("ﬁve", "five", True), ("blue", "light blue", False)],
)
def test_text(gold: str, answer: str, correct: bool) -> None:
    assert verify(gold, answer, "text").correct is correct


def test_an_unknown_type_is_a_configuration_error() -> None:
    for answer in ("5", ""):
        with pytest.raises(UserError, match="'maths'"):
            verify("5", answer, "maths")


def test_a_right_box_in_the_thinking_earns_nothing() -> None:
    response = r"<think>maybe \boxed{5}</think><answer>7</answer>"
    assert not verify("5", response, scope="response").correct
    assert verify("7", response, scope="response").correct


def test_algebra_works_off_the_main_thread() -> None:
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(verify, "(x+1)^2", "x^2+2x+1").result().correct


def test_integers_need_no_algebra() -> None:
    for answer in ("7", "-3", "1,000", "3 4", "hello", "=", "", "5."):
        assert quick_verdict(Claim("5", answer, "math")) is not None


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("bard", (6, [("5", "92.5"), ("228", "115"), ("776", "8")], [("849", "(b)")])),
        ("gpt4_2shot_solution", (120, [("412", "C"), ("675", "34")], [])),
    ],
)
def test_agrees_with_the_labels_of_mathvista(shared_data: Path, model: str, expected: tuple) -> None:
    """1000 answers a model, the answer being what GPT-4 extracted from the response.

    All numbers agree. In multiple choice the published score counts the option whose letters are nearest, whatever was
    said: "N/A" and "Cannot be determined" picked an option, often the right one, and so did the numbers and letters
    listed here that are no option. Only 34 for `34m` is a loss of ours. `(b)` is an answer among options called (c),
    (d), (a), (b), (e).
    """
    non_answers, right_by_verdict, right_by_label = 0, [], []
    for line in (shared_data / f"responses/mathvista/output_{model}.jsonl").open(encoding="utf-8"):
        row = json.loads(line)
        answer_type = {"text": "choice", "list": "text"}.get(row["answer_type"], "number")
        rules = AnswerRules(absolute_tolerance=0.5 * 10 ** -int(row["precision"]) if row["precision"] else 0.0)
        answer, choices = str(row["extraction"]), tuple(row["choices"] or ())
        verdict = verify(row["answer"], answer, answer_type, choices=choices, rules=rules)
        if verdict.correct and not row["true_false"]:
            right_by_verdict.append((row["pid"], answer))
        elif row["true_false"] and not verdict.correct:
            assert answer_type == "choice"
            assert verdict.reason == "unparsable"
            if re.search(r"N/A|None|annot|[Ii]nsufficient|not sufficient|provide|Sorry", answer):
                non_answers += 1
            else:
                right_by_label.append((row["pid"], answer))
    assert (non_answers, right_by_label, right_by_verdict) == expected


def test_agrees_with_the_labels_of_gsm8k(shared_data: Path) -> None:
    """Every stored label of four models on the test set, the answer being what follows the last `A:`."""
    judged = 0
    for line in (shared_data / "responses/gsm8k/example_model_solutions.jsonl").open(encoding="utf-8"):
        row = json.loads(line)
        gold = row["ground_truth"].rsplit("A:", 1)[1].strip()
        for model in ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification"):
            stored = row[model]
            answer = stored["solution"].rsplit("A:", 1)[-1].strip()
            assert verify(gold, answer).correct == stored["is_correct"], (gold, answer)
            judged += 1
    assert judged == 5276


def test_agrees_with_the_labels_of_math(shared_data: Path) -> None:
    """800 whole responses; the one disagreement is the label's: it calls `10{,}000` and 10000 different."""
    disagreements = []
    for line in (shared_data / "responses/qwen_math_cot_100/math_cot_100.jsonl").open(encoding="utf-8"):
        row = json.loads(line)
        for response, label in zip(row["response"], row["score"], strict=True):
            if verify(row["gt"], response, scope="response").correct != label:
                disagreements.append(row["idx"])
    assert disagreements == [72]
