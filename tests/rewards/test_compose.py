"""Terms, weights, and the shipped rewards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from lmm_r1.errors import UserError
from lmm_r1.rewards.accuracy import AnswerAccuracy
from lmm_r1.rewards.compose import RewardSum
from lmm_r1.types import Completion, Problem

FIVE = Problem(id="1", question="2 + 3 = ?", answer="5")


def completion(text: str, finish_reason: str = "stop") -> Completion:
    return Completion((1,), (0.0,), text, finish_reason, 0)


def shipped(repository: Path, name: str) -> RewardSum:
    with initialize_config_dir(str(repository / "conf"), version_base="1.3"):
        return instantiate(compose(overrides=[f"+reward={name}"]).reward)


@pytest.fixture(scope="module")
def released(repository: Path) -> Iterator[RewardSum]:
    reward = shipped(repository, "lmm_r1")
    yield reward
    reward.close()


@pytest.mark.parametrize(
    ("text", "reward", "reason"),
    [
        ("<think>2 and 3</think><answer>5</answer>", 1.5, "ok"),
        ("<think>2 and 3</think>\n<answer>6</answer>", 0.5, "wrong"),
        ("<answer>5</answer>", 1.0, "ok"),
        ("five", 0.0, "no_answer"),
        (r"<think>5 is \boxed{5}</think><answer>six</answer>", 0.5, "unparsable"),
    ],
)
def test_rule_adds_half_a_point_for_the_format(repository: Path, text: str, reward: float, reason: str) -> None:
    score = shipped(repository, "rule").score([(FIVE, completion(text))])[0]
    assert (score.reward, score.reason, score.correct) == (reward, reason, reason == "ok")
    assert score.breakdown["accuracy"] + 0.5 * score.breakdown["format"] == reward


def test_accuracy_only_measures_the_format_and_does_not_pay_it(repository: Path) -> None:
    score = shipped(repository, "accuracy_only").score([(FIVE, completion("<think>so</think><answer>6</answer>"))])[0]
    assert score.reward == 0.0
    assert score.breakdown == {"accuracy": 0.0, "format": 1.0}


def test_a_truncated_completion_earns_no_format(repository: Path) -> None:
    text = "<think>2 and 3</think><answer>5</answer>"
    score = shipped(repository, "rule").score([(FIVE, completion(text, "length"))])[0]
    assert score.breakdown == {"accuracy": 1.0, "format": 0.0}


def test_integer_answers_start_no_process() -> None:
    accuracy = AnswerAccuracy()
    reward = RewardSum(accuracy, {"accuracy": 1.0})
    answers = ["5", "6", "-1", "1 2", "oops", "", "5 5", "="]
    scores = reward.score([(FIVE, completion(f"<answer>{answer}</answer>")) for answer in answers])
    assert [score.reward for score in scores] == [1.0] + [0.0] * 7
    assert not accuracy.pool.started


def test_order_is_kept_where_only_some_need_algebra() -> None:
    square = Problem(id="2", question="?", answer="(x+1)^2")
    items = [
        (FIVE, completion("<answer>5</answer>")),
        (square, completion("<answer>x^2+2x+1</answer>")),
        (FIVE, completion("<answer>6</answer>")),
        (square, completion("<answer>x^2+1</answer>")),
        (square, completion("nothing")),
    ]
    reward = RewardSum(AnswerAccuracy(workers=1), {"accuracy": 1.0})
    try:
        assert [score.reason for score in reward.score(items)] == ["ok", "ok", "wrong", "wrong", "no_answer"]
    finally:
        reward.close()


def test_each_term_is_reported_before_its_weight() -> None:
    terms = {"length": lambda completion, problem: len(completion.text) / 10}
    score = RewardSum(AnswerAccuracy(), {"accuracy": 1.0, "length": -0.5}, terms).score([(FIVE, completion("a" * 20))])
    assert score[0].breakdown == {"accuracy": 0.0, "length": 2.0}
    assert score[0].reward == -1.0


@pytest.mark.parametrize("weights", [{"accuracy": 1.0, "fromat": 0.5}, {"accuracy": 1.0}, {"format": 1.0}])
def test_weights_name_exactly_the_terms(weights: dict[str, float]) -> None:
    with pytest.raises(UserError, match=r"reward\.weights"):
        RewardSum(AnswerAccuracy(), weights, {"format": lambda completion, problem: 1.0})


RELEASED = [
    # response, gold, format, accuracy; as measured on the authors' own configuration
    ("<think>x</think><answer> $2$ </answer>", "$2$", 1, 1),
    ("<think>x</think>\n<answer> $2$ </answer>", "$2$", 0, 1),
    ("<think>x</think> <answer> $2$ </answer>", "$2$", 0, 1),
    ("<think>x</think><answer> A </answer>", r"$\boxed{A}$", 1, 0),
    ("<think>x</think><answer> (A) </answer>", r"$\boxed{A}$", 1, 0),
    ("<think>x</think><answer> $A$ </answer>", r"$\boxed{A}$", 1, 1),
    ("<think>x</think><answer> 123 </answer>", "$123$", 1, 0),
    (r"<think>\boxed{2}</think><answer> $3$ </answer>", "$2$", 1, 1),
    (r"<think>\boxed{3}</think><answer> $2$ </answer>", "$2$", 1, 0),
    (r"\boxed{2}", "$2$", 0, 1),
    # lower case: 0 on math-verify 0.5.2, which the authors ran, 1 on 0.8 and later
    ("<think>x</think><answer> $a$ </answer>", "$A$", 1, 1),
    # an unparsable gold pays everything; such golds are dropped at load
    ("<think>x</think><answer> $7$ </answer>", "$$", 1, 1),
]


def test_the_released_rule_behaves_as_released(released: RewardSum) -> None:
    items = [(Problem(id="r", question="?", answer=gold), completion(text)) for text, gold, _, _ in RELEASED]
    scores = released.score(items)
    measured = [(score.breakdown["format"], score.breakdown["accuracy"]) for score in scores]
    assert measured == [(form, accuracy) for _, _, form, accuracy in RELEASED]
    assert [score.reward for score in scores] == [0.5 * form + accuracy for form, accuracy in measured]
