"""Advantages equal those of TRL 1.16's trainers, which compute them nowhere but in the middle of a step."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch

from lmm_r1.algorithms.advantages import (
    batch_normalised,
    decoupled_normalised,
    group_centred,
    group_normalised,
    leave_one_out,
)
from lmm_r1.models.loading import load_policy
from lmm_r1.training.group_advantages import group_advantages
from lmm_r1.types import Group, Score
from tests.conformance.replayed import arguments_for_trl, question_for_trl, replay_for_trl, scored_groups, stored
from tests.conformance.update import ABSENT, WITHIN
from tests.training.updating import ONE_PROCESS

pytest.importorskip("trl", reason=ABSENT.format("TRL"))

from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:You are using 'rollout_func'")]

PROMPTS, SAMPLES = 6, 4
GRPO, RLOO = (GRPOTrainer, GRPOConfig), (RLOOTrainer, RLOOConfig)
EPS = 1e-4
"""TRL's, which no setting changes."""


@pytest.fixture(scope="module")
def groups(processor) -> list[Group]:
    return scored_groups(processor, PROMPTS, SAMPLES)


@pytest.fixture
def theirs(random_model, processor, groups, tmp_path):
    """The advantages `[P, G]` that TRL's trainer reports of one step with these reward functions."""

    def step(*rewards: Callable[..., list[float]], kind: tuple[type, type] = GRPO, **settings: Any) -> torch.Tensor:
        trainer_of_kind, config = kind
        trainer = trainer_of_kind(
            model=load_policy(str(random_model), "float32"),
            reward_funcs=list(rewards),
            args=config(
                **arguments_for_trl(tmp_path, completions=PROMPTS * SAMPLES),
                num_generations=SAMPLES,
                max_steps=1,
                beta=0.0,
                **settings,
            ),
            train_dataset=Dataset.from_list([question_for_trl(group.problem) for group in groups]),
            processing_class=processor,
            **({"rollout_func": replay_for_trl(groups, PROMPTS)} if kind is GRPO else {}),
        )
        trainer.train()
        return torch.tensor(list(trainer._logs["advantages"])).view(PROMPTS, SAMPLES)

    return step


def ours(groups: list[Group], advantage, weights: dict[str, float] | None = None) -> torch.Tensor:
    return group_advantages(ONE_PROCESS, groups, advantage, weights)


@pytest.mark.parametrize(
    ("scale_rewards", "advantage"),
    [
        ("group", functools.partial(group_normalised, eps=EPS)),
        ("batch", functools.partial(batch_normalised, eps=EPS)),
        ("none", group_centred),
    ],
)
def test_advantages_of_a_summed_reward_are_trls(theirs, groups, scale_rewards, advantage):
    mine = ours(groups, advantage)
    assert mine.abs().max() > 0.1
    torch.testing.assert_close(mine, theirs(stored("reward"), scale_rewards=scale_rewards), **WITHIN)


def test_trl_sums_terms_with_a_weight_of_one_each_by_default(theirs, groups):
    """The reward of `scored_groups` is accuracy plus format, each paid in full; ours has no default weights."""
    mine = ours(groups, functools.partial(group_normalised, eps=EPS))
    torch.testing.assert_close(mine, theirs(stored("accuracy"), stored("format")), **WITHIN)
    weighted = [
        Group(group.problem, group.prompt_ids, group.completions, [paid(score, 1.0, 0.5) for score in group.scores])
        for group in groups
    ]
    mine = ours(weighted, functools.partial(group_normalised, eps=EPS))
    torch.testing.assert_close(mine, theirs(stored("accuracy"), stored("format"), reward_weights=[1.0, 0.5]), **WITHIN)


def paid(score: Score, accuracy: float, kept: float) -> Score:
    reward = accuracy * score.breakdown["accuracy"] + kept * score.breakdown["format"]
    return Score(reward, score.breakdown, score.correct, score.reason)


@pytest.mark.parametrize("weights", [{"accuracy": 1.0, "format": 1.0}, {"accuracy": 1.0, "format": 0.5}])
def test_decoupled_advantages_are_trls(theirs, groups, weights):
    mine = ours(groups, functools.partial(decoupled_normalised, eps=EPS), weights)
    settings = {"multi_objective_aggregation": "normalize_then_sum", "reward_weights": list(weights.values())}
    torch.testing.assert_close(mine, theirs(*map(stored, weights), **settings), **WITHIN)


def test_leave_one_out_is_trls(theirs, groups):
    """`RLOOTrainer` takes no stored completions: it samples its own, here rewarded by their place in the batch."""
    rewards = [score.reward for group in groups for score in group.scores]
    torch.testing.assert_close(ours(groups, leave_one_out), theirs(lambda **_: rewards, kind=RLOO), **WITHIN)
