"""Rewards in the background are the rewards, and what goes wrong there is heard."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from lmm_r1.errors import UserError
from lmm_r1.rewards.accuracy import AnswerAccuracy
from lmm_r1.rewards.compose import RewardSum
from lmm_r1.rewards.format import format_reward
from lmm_r1.rewards.judged import Judged
from lmm_r1.training.scoring import BackgroundScoring
from lmm_r1.types import Completion, Group, Problem


def group(name: str, *answers: str) -> Group:
    completions = [Completion((), (), f"<think>So.</think><answer>{answer}</answer>", "stop", 0) for answer in answers]
    return Group(Problem(name, "1 + 1?", "2"), (), completions)


@pytest.fixture
def accuracy() -> Iterator[AnswerAccuracy]:
    accuracy = AnswerAccuracy(workers=1)
    yield accuracy
    accuracy.close()


def reward_with(accuracy: AnswerAccuracy, term) -> RewardSum:
    return RewardSum(accuracy, {"accuracy": 1.0, "term": 0.5}, {"term": term})


def test_scores_are_those_of_all_groups_at_once(accuracy) -> None:
    groups = [group("a", "2", "3"), group("b", r"\frac{4}{2}"), group("c", "x", "2", "")]
    reward = reward_with(accuracy, format_reward)
    expected = reward.score_groups(groups)
    scoring = BackgroundScoring(reward)
    for one in reversed(groups):
        scoring.add(one)
    scoring.finish()
    assert [one.scores for one in groups] == expected


def test_a_group_is_scored_while_others_are_still_sampled(accuracy) -> None:
    scored = threading.Event()

    def term(judged: Judged) -> float:
        scored.set()
        return 1.0

    scoring, first, second = BackgroundScoring(reward_with(accuracy, term)), group("a", "2"), group("b", "3")
    scoring.add(first)
    assert scored.wait(60), "nothing was scored before the end"
    scoring.add(second)
    scoring.finish()
    assert [one.scores[0].reward for one in (first, second)] == [1.5, 0.5]


def test_groups_that_wait_are_scored_together(accuracy) -> None:
    """A batch takes as long as its slowest answer: one by one, every group would."""
    going, go_on, batches = threading.Event(), threading.Event(), []

    class Watched(RewardSum):
        def score_groups(self, groups):
            batches.append([one.problem.id for one in groups])
            going.set()
            assert go_on.wait(60)
            return super().score_groups(groups)

    scoring = BackgroundScoring(Watched(accuracy, {"accuracy": 1.0}))
    scoring.add(group("a", "2"))
    assert going.wait(60)
    for name in "bcd":
        scoring.add(group(name, "2"))
    go_on.set()
    scoring.finish()
    assert [name for batch in batches for name in batch] == ["a", "b", "c", "d"]
    assert ["b", "c", "d"] in batches


def test_what_scoring_raises_is_raised_at_the_end(accuracy) -> None:
    scoring = BackgroundScoring(reward_with(accuracy, lambda judged: float("nan")))
    for name in "ab":
        scoring.add(group(name, "2"))
    with pytest.raises(UserError, match=r"reward\.terms\.term: gave nan for problem a"):
        scoring.finish()


def test_nothing_to_score_is_nothing_to_wait_for(accuracy) -> None:
    BackgroundScoring(reward_with(accuracy, format_reward)).finish()
    assert not accuracy.pool.started
