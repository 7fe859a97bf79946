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
from lmm_r1.rewards.format import format_reward
from lmm_r1.rewards.judged import Judged
from lmm_r1.types import Completion, Group, Problem

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
    terms = {"length": lambda judged: len(judged.completion.text) / 10}
    score = RewardSum(AnswerAccuracy(), {"accuracy": 1.0, "length": -0.5}, terms).score([(FIVE, completion("a" * 20))])
    assert score[0].breakdown == {"accuracy": 0.0, "length": 2.0}
    assert score[0].reward == -1.0


@pytest.mark.parametrize("weights", [{"accuracy": 1.0, "fromat": 0.5}, {"accuracy": 1.0}, {"format": 1.0}])
def test_weights_name_exactly_the_terms(weights: dict[str, float]) -> None:
    with pytest.raises(UserError, match=r"reward\.weights"):
        RewardSum(AnswerAccuracy(), weights, {"format": lambda judged: 1.0})


@pytest.mark.parametrize("name", ["accuracy", "mean"])
def test_a_term_cannot_take_a_name_that_means_something_else(name: str) -> None:
    with pytest.raises(UserError, match=f"reward.terms.{name}"):
        RewardSum(AnswerAccuracy(), {"accuracy": 1.0, name: 1.0}, {name: lambda judged: 1.0})


@pytest.mark.parametrize(("value", "weight"), [(1e20, 1.0), (-1e10, 1e10), (1e300, 1e300)])
def test_a_reward_that_cannot_be_computed_with_is_refused(value: float, weight: float) -> None:
    reward = RewardSum(AnswerAccuracy(), {"accuracy": 1.0, "odd": weight}, {"odd": lambda judged: value})
    with pytest.raises(UserError, match=r"a reward of -?(inf|1.0e\+20) for problem 1, from the terms .*'odd'"):
        reward.score([(FIVE, completion("5"))])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_term_that_gives_no_number_is_named_with_its_problem(value: float) -> None:
    reward = RewardSum(AnswerAccuracy(), {"accuracy": 1.0, "odd": 0.0}, {"odd": lambda judged: value})
    with pytest.raises(UserError, match=r"reward\.terms\.odd.*problem 1"):
        reward.score([(FIVE, completion("5"))])


GATES = [
    # right, in format: additive, gated
    (True, True, 1.5, 1.5),
    (True, False, 1.0, 0.0),
    (False, True, 0.5, 0.5),
    (False, False, 0.0, 0.0),
]


@pytest.mark.parametrize(("right", "formatted", "additive", "gated"), GATES)
def test_a_gate_takes_accuracy_from_what_breaks_the_format(
    right: bool, formatted: bool, additive: float, gated: float
) -> None:
    answer = f"<answer>{5 if right else 6}</answer>"
    text = f"<think>2 and 3</think>{answer}" if formatted else answer
    for combination, expected in (("additive", additive), ("gated", gated)):
        weights, terms = {"accuracy": 1.0, "format": 0.5}, {"format": format_reward}
        (score,) = RewardSum(AnswerAccuracy(), weights, terms, combination).score([(FIVE, completion(text))])
        assert score.reward == expected
        assert score.breakdown == {"accuracy": float(right), "format": float(formatted)}
        assert score.correct == right


def test_a_gate_looks_at_a_format_that_is_not_paid() -> None:
    reward = RewardSum(
        AnswerAccuracy(), {"accuracy": 1.0, "format": 0.0}, {"format": format_reward}, combination="gated"
    )
    texts = ("<think>2 and 3</think><answer>5</answer>", "<answer>5</answer>")
    assert [score.reward for score in reward.score([(FIVE, completion(text)) for text in texts])] == [1.0, 0.0]


def test_a_gate_needs_a_format() -> None:
    with pytest.raises(UserError, match="gated"):
        RewardSum(AnswerAccuracy(), {"accuracy": 1.0}, combination="gated")
    with pytest.raises(UserError, match="gatd"):
        RewardSum(AnswerAccuracy(), {"accuracy": 1.0}, combination="gatd")


def test_a_term_sees_the_verdict_and_the_whole_group() -> None:
    seen: list[Judged] = []

    def look(judged: Judged) -> float:
        seen.append(judged)
        return float(len(judged.group))

    texts = [["<answer>5</answer>", "<answer>6</answer>", "five"], ["<answer>5</answer>"]]
    groups = [Group(FIVE, (1,), [completion(text) for text in group]) for group in texts]
    scores = RewardSum(AnswerAccuracy(), {"accuracy": 1.0, "look": 0.0}, {"look": look}).score_groups(groups)
    assert [[score.breakdown["look"] for score in group] for group in scores] == [[3.0, 3.0, 3.0], [1.0]]
    assert [one.verdict.reason for one in seen] == ["ok", "wrong", "no_answer", "ok"]
    assert [one.completion for one in seen] == [one for group in groups for one in group.completions]
    assert [score.reward for group in scores for score in group] == [1.0, 0.0, 0.0, 1.0]


@pytest.mark.parametrize("name", ["rule", "lmm_r1", "accuracy_only"])
def test_any_shaping_can_be_added_to_any_reward(repository: Path, name: str) -> None:
    shaping = sorted(path.stem for path in (repository / "conf" / "shaping").glob("*.yaml"))
    with initialize_config_dir(str(repository / "conf"), version_base="1.3"):
        overrides = [f"reward={name}", f"shaping=[{','.join(shaping)}]", "reward.weights.cosine=0"]
        reward = instantiate(compose("train", overrides).reward)
    assert {"accuracy", "format", *shaping} == set(reward.weights) and len(shaping) == 6
    texts = ("<think>so it is</think><answer>5</answer>", "<think>so so so so</think><answer>6")
    try:
        (scores,) = reward.score_groups([Group(FIVE, (1,), [completion(text) for text in texts])])
    finally:
        reward.close()
    for score in scores:
        assert score.breakdown["cosine"] != 0.0
        assert score.reward == pytest.approx(
            sum(reward.weights[term] * value for term, value in score.breakdown.items() if term != "cosine")
        )


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
