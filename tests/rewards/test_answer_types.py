"""Verdicts on the answer types besides mathematics, choice, yes or no, and text."""

from __future__ import annotations

import pickle
import random
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmm_r1.answer_rules import ANSWER_TYPES, AnswerRules
from lmm_r1.errors import UserError
from lmm_r1.rewards import verify
from lmm_r1.rewards.answers.arithmetic import arithmetic_value
from lmm_r1.rewards.answers.box import Box, best_match, intersection_over_union
from lmm_r1.rewards.audit import verify_golds
from lmm_r1.rewards.pool import VerifierPool
from lmm_r1.rewards.verify import VERIFIERS, Claim, judge_claim, judge_own_gold
from lmm_r1.types import Problem
from tests.running import HANG_SECONDS

# What a worker imports by its name lives in a module that the worker can import as well.
sys.path.insert(0, str(Path(__file__).parent))


def test_every_answer_type_has_one_verifier() -> None:
    assert tuple(VERIFIERS) == ("math", *[name for name in VERIFIERS if name != "math"])
    assert set(VERIFIERS) == set(ANSWER_TYPES)


@pytest.mark.parametrize("answer_type", [name for name, verifier in VERIFIERS.items() if verifier.quick])
@pytest.mark.timeout(HANG_SECONDS)
def test_no_answer_keeps_a_quick_verifier_busy(answer_type: str) -> None:
    """These are judged in the trainer's own process: their searches must not be quadratic, let alone cubic."""
    patterns = ("a{}b", "5{}x", "A.{}x", "5 square{}", "{}")
    answers = [pattern.format(piece * (1000 // len(piece))) for pattern in patterns for piece in (" ", "1", "(", " ^")]
    for answer in [*answers, "x " * 100_000]:
        assert not verify("yes", answer, answer_type, choices=("yes", "no")).correct


def test_a_claim_is_hashable_and_travels() -> None:
    claim = Claim("5", "5", "number", ("a",), AnswerRules(relative_tolerance=0.1))
    assert pickle.loads(pickle.dumps(claim)) == claim
    assert len({claim, claim._replace(rules=AnswerRules())}) == 2


@pytest.mark.parametrize(
    "rules",
    [
        {"relative_tolerance": -0.1},
        {"absolute_tolerance": float("inf")},
        {"relative_tolerance": float("nan")},
        {"percent": "both"},
        {"iou_threshold": 0},
        {"iou_threshold": 1.5},
    ],
)
def test_rules_without_sense_are_refused(rules: dict) -> None:
    with pytest.raises(UserError, match=next(iter(rules))):
        AnswerRules(**rules)


@pytest.mark.parametrize(
    ("gold", "answer", "correct"),
    [
        (r"2\sqrt{3}", r"\sqrt{12}", True),
        (r"2\sqrt{3}", r"2\sqrt3", True),
        (r"\frac{\pi}{4}", "π/4", True),
        (r"\frac12", "0.5", True),
        (r"\dfrac{3}{4}", "x = 3/4", True),
        (r"1.2\times10^{-4}", "0.00012", True),
        ("50.27 cm", "50.27", True),
        ("50.27", r"50.27\text{ cm}", True),
        ("12 cm^2", r"12\text{ square centimeters}", True),
        ("60^\\circ", "60°", True),
        ("5", r"The answer is $\boxed{5}$", True),
        ("1,200", "$1200", True),
        ("5", "-(-5)", True),
        (r"2\sqrt{3}", "3.46", False),
        (r"\pi", "3.14159", False),
        ("12 cm", "12 km", False),
        ("12 cm", "12 cm^2", False),
        ("5", "5 apples and 3 pears", False),
        ("5", r"\boxed{4} or \boxed{5}", False),
        ("5", "3 4", False),
        ("34", "3 4", False),
        ("5", "5x", False),
        ("5", "inf", False),
        ("inf", "inf", False),
        ("5", r"\sqrt{-25}", False),
        ("1", "9^9^9^9^9^9", False),
        ("5", "(" * 60 + "5" + ")" * 60, True),
        ("5", "(" * 60 + "5" + ")" * 59, False),
    ],
)
def test_number_without_tolerance_is_exact(gold: str, answer: str, correct: bool) -> None:
    assert verify(gold, answer, "number").correct is correct


@pytest.mark.parametrize(
    ("gold", "answer", "rules", "correct"),
    [
        ("9.8", "9.81", {"absolute_tolerance": 0.1}, True),
        ("9.8", "9.9", {"absolute_tolerance": 0.1}, True),
        ("9.8", "9.91", {"absolute_tolerance": 0.1}, False),
        (r"2\sqrt{3}", "3.46", {"relative_tolerance": 0.01}, True),
        (r"2\sqrt{3}", "3.5", {"relative_tolerance": 0.01}, False),
        ("-100", "-101", {"relative_tolerance": 0.01}, True),
        ("-100", "101", {"relative_tolerance": 0.01}, False),
        ("0", "0.001", {"relative_tolerance": 0.01}, False),
        ("0", "0.001", {"relative_tolerance": 0.01, "absolute_tolerance": 0.01}, True),
        ("5", "nan", {"relative_tolerance": 0.5}, False),
        ("5", "inf", {"relative_tolerance": 0.5}, False),
        ("5", "4 or 5", {"relative_tolerance": 0.5}, False),
        ("0.5", "50%", {}, True),
        ("50", "50%", {}, True),
        ("50%", "50%", {}, True),
        ("0.5", "50%", {"percent": "number"}, False),
        ("50", "50%", {"percent": "fraction"}, False),
        ("0.5%", "50%", {}, False),
    ],
)
def test_number_within_the_tolerance_of_the_data_set(gold: str, answer: str, rules: dict, correct: bool) -> None:
    assert verify(gold, answer, "number", rules=AnswerRules(**rules)).correct is correct


def test_mathematics_has_the_tolerance_too() -> None:
    loose = AnswerRules(relative_tolerance=0.01)
    assert not verify(r"\sqrt{2}", "1.41").correct
    assert verify(r"\sqrt{2}", "1.41", rules=loose).correct
    assert verify("100", "100.5", rules=loose).correct
    assert not verify("100", "102", rules=loose).correct
    assert not verify("x+1", "x+1.001", rules=loose).correct


@given(st.fractions(min_value=-1000, max_value=1000, max_denominator=1000))
def test_arithmetic_reads_every_fraction_exactly(value) -> None:
    assert arithmetic_value(rf"\frac{{{value.numerator}}}{{{value.denominator}}}") == value
    assert arithmetic_value(str(value)) == value


@given(st.text(alphabet=r"\frac{}sqt[]()12^*/+-. pi", max_size=60))
def test_arithmetic_never_raises(text: str) -> None:
    arithmetic_value(text)


@pytest.mark.parametrize(
    ("gold", "answer", "correct"),
    [
        ("7", "7", True),
        ("7", "seven", True),
        ("7", "7.0", True),
        ("Seven", "**7**", True),
        ("7", "There are 7 apples.", True),
        ("21", "twenty-one", True),
        ("21", "Twenty one dogs", True),
        ("0", "zero", True),
        ("0", "None", True),
        ("1234", "1,234", True),
        ("7", r"\boxed{7}", True),
        ("7", "about 7", False),
        ("7", "7 or 8", False),
        ("7", "6, 7", False),
        ("6", "6, 7", False),
        ("7", "7.5", False),
        ("7", "-7", False),
        ("7", "not 7", False),
        ("7", "at least 7", False),
        ("7", "7 million", False),
        ("1", "twenty-one", False),
        ("7", "3 + 4", False),
        ("7", "7/1", False),
        ("7", "7th", False),
        ("5", "5!", False),
        ("7", "many", False),
        ("7", "", False),
        ("many", "many", False),
    ],
)
def test_count(gold: str, answer: str, correct: bool) -> None:
    assert verify(gold, answer, "count").correct is correct


@pytest.mark.parametrize(
    ("gold", "answer", "correct"),
    [
        ("100", "105", True),
        ("100", "95", True),
        ("-100", "-104", True),
        ("12.5", "12,5", False),
        ("0.25", "25%", True),
        ("25%", "24.5", True),
        ("1,234", "1200", True),
        ("Blue", "blue", True),
        ("2020", "2020", True),
        ("0", "0.0", True),
        ("100", "105.01", False),
        ("100", "94", False),
        ("2020", "2021", False),
        ("2020", "1999", False),
        ("0", "0.0001", False),
        ("100", "-100", False),
        ("100", "nan", False),
        ("100", "inf", False),
        ("nan", "5", False),
        ("100", "95 to 105", False),
        ("Blue", "light blue", False),
        ("", "", False),
    ],
)
def test_relaxed(gold: str, answer: str, correct: bool) -> None:
    assert verify(gold, answer, "relaxed").correct is correct


@pytest.mark.parametrize(
    ("gold", "answer", "correct"),
    [
        ("Coca Cola", "coca-cola", True),
        ("Coca Cola", "Coca Cola", True),
        ("Coca Cola", "Coca-Cola Company", False),
        ("Straße", "STRASSE", True),
        ("ﬁve", "five", True),
        ("ｂｌｕｅ", "blue", True),
        ('["UN", "United Nations"]', "United Nations", True),
        ('["UN", "United Nations"]', "un", True),
        ("[sic]", "[sic]", True),
        ("12 March 1999", "12 march 1999", True),
        ("1999", "1998", False),
        ("12 March 1999", "13 March 1999", False),
        ("blue", "red", False),
        ("blue", "blue red green yellow", False),
        ("yes", "no", False),
        ("blue", " ", False),
        ("...", "...", True),
        ('["", " "]', "x", False),
    ],
)
def test_anls(gold: str, answer: str, correct: bool) -> None:
    assert verify(gold, answer, "anls").correct is correct


def test_anls_is_graded_above_one_half_and_nothing_below() -> None:
    assert verify("hello", "hello", "anls").score == 1.0
    assert verify("hello", "hallo", "anls").score == pytest.approx(0.8)  # one letter of five
    assert verify("hello", "world", "anls").score == 0.0
    assert verify('["cat", "hallo"]', "hello", "anls").score == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("gold", "answer", "correct"),
    [
        (r"\{1,2,3\}", r"\{3,1,2\}", True),
        (r"\{1,2\}", "{2, 1}", True),
        (r"\{1,2\}", "1, 2", True),
        (r"\{1,2\}", "2 and 1", True),
        (r"\{1,2\}", r"x = 1 \text{ or } x = 2", True),
        (r"\{2,-2\}", r"\pm 2", True),
        (r"\{1,2\}", r"S = \left\{1, 2\right\}", True),
        (r"\{1,2\}", r"\{1,1,2\}", True),
        (r"\{\frac12\}", "0.5", True),
        (r"\{x+1, x\}", r"\{x, 1+x\}", True),
        (r"\{(1,2),(3,4)\}", r"\{(3,4),(1,2)\}", True),
        (r"\emptyset", r"\{\}", True),
        (r"\{1,2\}", r"\{1,2,3\}", False),
        (r"\{1,2,3\}", r"\{1,2\}", False),
        (r"\{1,2\}", "(1,2)", False),
        (r"\{1,2\}", "[1,2]", False),
        (r"\{1,2\}", r"\{1,3\}", False),
        (r"\{(1,2)\}", r"\{(2,1)\}", False),
        (r"\{2,-2\}", "2", False),
        (r"\{1\}", r"\emptyset", False),
        (r"\{1,2\}", r"\{1,\}", False),
        (r"\{1,2\}", r"\{1,2\} or \{3,4\}", False),
        (r"\{1,2\}", "1, 2, " + ", ".join(map(str, range(3, 60))), False),
    ],
)
def test_set(gold: str, answer: str, correct: bool) -> None:
    assert verify(gold, answer, "set").correct is correct


@pytest.mark.parametrize(
    ("gold", "answer", "correct"),
    [
        ("(1,2)", "(1, 2)", True),
        ("(1,2)", r"\left(1, 2\right)", True),
        ("(1,2)", "1, 2", True),
        ("(1,2)", r"\langle 1, 2 \rangle", True),
        (r"(\frac12, \sqrt2)", r"(0.5, \sqrt{2})", True),
        ("((1,2),3)", "((1,2),3)", True),
        (r"(\{1,2\},3)", r"(\{2,1\},3)", True),
        ("(x,y)=(1,2)", "(x,y)=(1,2)", False),  # a gold that names its variables is no tuple
        ("(1,2)", "(2,1)", False),
        ("(1,2)", r"\{1,2\}", False),
        ("(1,2)", "[1,2]", False),
        ("(1,2)", "[1,2)", False),
        ("(1,2)", "(1,2,3)", False),
        ("(1,2)", "(1)", False),
        ("(1,2)", "(1,2), (3,4)", False),
        ("((1,2),3)", "((2,1),3)", False),
    ],
)
def test_tuple(gold: str, answer: str, correct: bool) -> None:
    assert verify(gold, answer, "tuple").correct is correct


@pytest.mark.parametrize(
    ("gold", "answer", "correct"),
    [
        ("[0,1)", "[0, 1)", True),
        ("[0,1)", r"\left[0, \frac{2}{2}\right)", True),
        ("[0,1)", r"0 \le x < 1", True),
        ("(0,1]", "1 >= x > 0", True),
        (r"(-\infty,3]", r"x \leq 3", True),
        (r"(3,\infty)", "x > 3", True),
        (r"(3,\infty)", r"(3,+\infty)", True),
        (r"(-\infty,0)\cup(0,\infty)", r"(0,∞) ∪ (-∞,0)", True),
        (r"(-\infty,0)\cup(2,\infty)", r"x<0 \text{ or } x>2", True),
        (r"[1,2]\cup\{5\}", r"\{5\} \cup [1,2]", True),
        (r"(0,\sqrt{8})", r"x \in (0, 2\sqrt2)", True),
        ("[0,1)", "(0,1)", False),
        ("[0,1)", "[0,1]", False),
        ("[0,1)", "[0,2)", False),
        ("[0,1)", "0 < x < 1", False),
        ("(0,1)", r"\{0,1\}", False),
        ("(0,1)", "0, 1", False),
        (r"(3,\infty)", r"(3,-\infty)", False),
        (r"(3,\infty)", r"(3,\infty]", False),
        (r"(3,\infty)", "x < 3", False),
        (r"(-\infty,0)\cup(2,\infty)", r"(-\infty,0)", False),
        ("[1,2]", r"[1,2]\cup[3,4]", False),
        ("(0,1)", "0 < x > 1", False),
        ("(0,1)", "hello", False),
    ],
)
def test_interval(gold: str, answer: str, correct: bool) -> None:
    assert verify(gold, answer, "interval").correct is correct


@settings(max_examples=30)
@given(st.lists(st.integers(-50, 50), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_a_set_means_nothing_and_that_of_a_tuple_all(numbers: list[int], shuffle: random.Random) -> None:
    shuffled = list(numbers)
    shuffle.shuffle(shuffled)
    first, second = ", ".join(map(str, numbers)), ", ".join(map(str, shuffled))
    assert verify(rf"\{{{first}\}}", rf"\{{{second}\}}", "set").correct
    assert verify(f"({first})", f"({second})", "tuple").correct is (numbers == shuffled)


GOLD_BOX = "[10, 10, 20, 20]"


@pytest.mark.parametrize(
    ("gold", "answer", "correct", "score"),
    [
        (GOLD_BOX, GOLD_BOX, True, 1.0),
        (GOLD_BOX, '{"bbox_2d": [10, 10, 20, 20], "label": "cat"}', True, 1.0),
        (GOLD_BOX, '```json\n[{"bbox_2d": [10, 10, 20, 20]}]\n```', True, 1.0),
        (GOLD_BOX, "(10, 10, 20, 20)", True, 1.0),
        (GOLD_BOX, "[10.0, 10.0, 20.0, 15.0]", True, 0.5),
        ("[0, 0, 1, 1]", "[0, 0, 1, 1]", True, 1.0),
        ("[[0,0,1,1],[5,5,6,6]]", "[[5,5,6,6],[0,0,1,1]]", True, 1.0),
        (GOLD_BOX, "[10, 10, 20, 14]", False, 0.4),
        (GOLD_BOX, "[30, 30, 40, 40]", False, 0.0),
        (GOLD_BOX, "[[10, 10, 20, 20], [10, 10, 20, 20]]", False, 0.5),
        ("[[0,0,1,1],[5,5,6,6]]", "[0,0,1,1]", False, 0.5),
        (GOLD_BOX, "[20, 20, 10, 10]", False, 0.0),
        (GOLD_BOX, "[10, 10, 10, 20]", False, 0.0),
        (GOLD_BOX, "[10, 10, 20]", False, 0.0),
        (GOLD_BOX, "[NaN, 10, 20, 20]", False, 0.0),
        (GOLD_BOX, "[10, 10, 1e999, 20]", False, 0.0),
        (GOLD_BOX, "[true, 10, 20, 20]", False, 0.0),
        (GOLD_BOX, "10 10 20 20", False, 0.0),
        (GOLD_BOX, "[" * 1500, False, 0.0),
        (GOLD_BOX, str([[10, 10, 20, 20]] * 11), False, 0.0),
        ("[20, 20, 10, 10]", GOLD_BOX, False, 0.0),
    ],
)
def test_boxes(gold: str, answer: str, correct: bool, score: float) -> None:
    verdict = verify(gold, answer, "bbox")
    assert verdict.correct is correct
    assert verdict.score == pytest.approx(score)


def test_the_threshold_of_boxes_is_a_rule() -> None:
    half = "[10, 10, 20, 15]"
    assert verify(GOLD_BOX, half, "bbox", rules=AnswerRules(iou_threshold=0.5)).correct
    assert not verify(GOLD_BOX, half, "bbox", rules=AnswerRules(iou_threshold=0.51)).correct


SIDES = st.tuples(*[st.floats(0, 100), st.floats(0, 100), st.floats(0.01, 100), st.floats(0.01, 100)])
BOXES = SIDES.map(lambda sides: Box(sides[0], sides[1], sides[0] + sides[2], sides[1] + sides[3]))


@given(BOXES, BOXES)
def test_intersection_over_union_is_symmetric_and_a_share(first: Box, second: Box) -> None:
    share = intersection_over_union(first, second)
    assert 0 <= share <= 1
    assert share == pytest.approx(intersection_over_union(second, first))
    assert intersection_over_union(first, first) == 1


@given(st.lists(BOXES, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_boxes_match_themselves_in_any_order(boxes: list[Box], shuffle: random.Random) -> None:
    shuffled = list(boxes)
    shuffle.shuffle(shuffled)
    assert best_match(tuple(boxes), tuple(shuffled)) == pytest.approx(len(boxes))


def test_the_best_match_is_not_the_greedy_one() -> None:
    left, middle, right = Box(0, 0, 10, 10), Box(4, 0, 14, 10), Box(8, 0, 18, 10)
    greedy = intersection_over_union(left, left) + intersection_over_union(right, middle)
    assert best_match((left, right), (middle, left)) == pytest.approx(greedy)
    assert best_match((left, middle), (middle, right)) == pytest.approx(
        max(1 + intersection_over_union(left, right), 2 * intersection_over_union(left, middle))
    )


WALK = AnswerRules(simulator="games.walk")


@pytest.mark.parametrize(
    ("level", "answer", "correct"),
    [
        ("2", "right, right", True),
        ("2", '["right", "right"]', True),
        ("2", "[right, right]", True),
        ("2", "Right -> Right", True),
        ("2", "right\nright", True),
        ("-1", "left", True),
        ("0", "left, right", True),
        ("2", r"\boxed{right, right}", True),
        ("2", "right", False),
        ("2", "right, right, right", False),
        ("2", "right, jump, right", False),
        ("2", "I go right, right", False),
        ("2", "right, right, left, right, left, right, left, right", False),  # more than the game allows
        ("2", "[]", False),
        ("2", '{"right": 2}', False),
        ("2", "[1, 1]", False),
        ("2", "", False),
        ("nowhere", "right", False),
    ],
)
def test_actions_are_judged_by_playing_them(level: str, answer: str, correct: bool) -> None:
    assert verify(level, answer, "actions", rules=WALK).correct is correct


@pytest.mark.parametrize("simulator", ["", "walk", "games.chess", "nothing.walk", "games.not_a_game"])
def test_actions_without_a_simulator_are_a_configuration_error(simulator: str) -> None:
    for answer in ("right", ""):
        with pytest.raises(UserError, match=f"simulator={simulator or 'null'}"):
            verify("2", answer, "actions", rules=AnswerRules(simulator=simulator))


def test_a_judge_of_ones_own_is_a_dotted_name() -> None:
    assert verify("abc", "cba", "games.judge_reversed").correct
    assert not verify("abc", "abc", "games.judge_reversed").correct
    for missing in ("games.judge", "nothing.judge", "reversed"):
        with pytest.raises(UserError, match=missing):
            verify("abc", "cba", missing)


def test_simulators_and_judges_work_in_a_worker() -> None:
    claims = [
        Claim("2", "right, right", "actions", rules=WALK),
        Claim("abc", "cba", "games.judge_reversed"),
        Claim(r"\{1,2\}", "2, 1", "set"),
    ]
    with VerifierPool(workers=1) as pool:
        assert [verdict.reason for verdict in pool.judge(judge_claim, claims)] == ["ok", "ok", "ok"]


@pytest.mark.parametrize(
    ("gold", "answer_type", "reason"),
    [
        (r"\{1,2\}", "set", "ok"),
        (r"\{1,}", "set", "unparsable"),
        ("(1,2)", "tuple", "ok"),
        ("5", "tuple", "unparsable"),
        ("[0,1)", "interval", "ok"),
        ("[1,", "interval", "unparsable"),
        (GOLD_BOX, "bbox", "ok"),
        ("[20, 20, 10, 10]", "bbox", "unparsable"),
        ("seven", "count", "ok"),
        ("2", "actions", "ok"),
        ("nowhere", "actions", "unparsable"),
    ],
)
def test_golds_are_judged_by_their_own_type(gold: str, answer_type: str, reason: str) -> None:
    assert judge_own_gold(Claim(gold, "", answer_type, rules=WALK)).reason == reason


def test_the_audit_knows_the_rules_of_a_row() -> None:
    level = Problem("p", "?", "2", "actions", rules=WALK)
    assert verify_golds([level]).kept == [0]
