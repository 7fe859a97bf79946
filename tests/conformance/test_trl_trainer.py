"""Whole optimiser steps equal those of TRL 1.16's `GRPOTrainer`: same completions and rewards, same weights after four.

Theirs computes padded rows of prompt and completion; ours computes each prompt once for its group, packed. Where the
two differ by convention, ours is told theirs: eps 1e-4, the unbiased deviation, and no token left out of the softmax
(TRL bans the image token in `generate` alone). TRL's correction for what its sampler differs from its trainer is made
with vLLM only, so there is none here.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lmm_r1.algorithms.advantages import group_normalised
from lmm_r1.algorithms.aggregation import constant_length, sequence_mean, token_mean
from lmm_r1.algorithms.kl import importance_weighted, k3
from lmm_r1.algorithms.losses import clipped_surrogate
from lmm_r1.models.loading import load_policy
from lmm_r1.training.module import GRPOModule
from lmm_r1.training.phases import Phases
from lmm_r1.types import Group
from tests.conformance.replayed import (
    LONGEST,
    arguments_for_trl,
    question_for_trl,
    replay_for_trl,
    rollouts_of,
    scored_groups,
    stored,
)
from tests.conformance.update import ABSENT
from tests.training.updating import experience_of, loader_of, settings, trainer_of

pytest.importorskip("trl", reason=ABSENT.format("TRL"))

from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:You are using 'rollout_func'")]

PROMPTS, SAMPLES, STEPS = 3, 4, 4
AGGREGATIONS = {
    "grpo": sequence_mean,
    "dapo": token_mean,
    "dr_grpo": functools.partial(constant_length, length=LONGEST),
}
Weights = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Case:
    """What both trainers are told."""

    loss_type: str
    kl_coef: float = 0.0
    weighted_kl: bool = False
    inner_epochs: int = 1
    micro_batches: bool = False
    max_grad_norm: float = 1e9
    renderings: tuple[str, ...] = ("text_only",)
    learning_rate: float = 0.3
    eps: float = 1e-4


def descent(policy: torch.nn.Module, case: Case) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR]:
    """Plain gradient descent, in which a difference of gradients stays what it is; Adam divides it by its size."""
    optimiser = torch.optim.SGD(policy.parameters(), lr=case.learning_rate)
    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, lambda _: 1.0)


class PlainlyStepped(GRPOModule):
    """The module, but for its optimiser."""

    case: Case

    def configure_optimizers(self) -> dict[str, Any]:
        optimiser, schedule = descent(self.policy, self.case)
        return {"optimizer": optimiser, "lr_scheduler": schedule}


def weighted(logprobs: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """TRL's `use_bias_correction_kl`, on by default, where the old policy is the current one."""
    return importance_weighted(k3(logprobs, reference), logprobs, logprobs.detach())


def trained_by_us(model: Path, processor, case: Case, groups: Sequence[Group], kind: type[GRPOModule]) -> Weights:
    algorithm = settings(
        advantage=functools.partial(group_normalised, eps=case.eps, ddof=1),
        loss=functools.partial(clipped_surrogate, clip_low=0.2, clip_high=0.2),
        aggregation=AGGREGATIONS[case.loss_type],
        kl=weighted if case.weighted_kl else k3,
        kl_coef=case.kl_coef,
        learning_rate=case.learning_rate,
        betas=(0.9, 0.999),
        max_grad_norm=case.max_grad_norm,
        inner_epochs=case.inner_epochs,
        micro_batch_tokens=1 if case.micro_batches else 10_000,
    )
    module = kind(
        load_policy(str(model), "float32"),
        load_policy(str(model), "float32") if case.kl_coef else None,
        algorithm,
        temperature=1.0,
        banned_token_ids=(),
        optimiser_steps=STEPS,
        phases=Phases(),
        seed=0,
    )
    module.case = case
    rollouts = [experience_of(rollout, processor, algorithm) for rollout in rollouts_of(groups, PROMPTS)]
    trainer_of().fit(module, loader_of(*rollouts))
    return module.policy.state_dict()


def trained_by_trl(
    model: Path, processor, case: Case, groups: Sequence[Group], folder: Path, *, plainly: bool
) -> Weights:
    policy = load_policy(str(model), "float32")
    parts = 2 if case.micro_batches else 1
    arguments = GRPOConfig(
        **arguments_for_trl(folder, completions=PROMPTS * SAMPLES // parts),
        gradient_accumulation_steps=parts,
        num_generations=SAMPLES,
        num_iterations=case.inner_epochs,
        max_steps=STEPS,
        loss_type=case.loss_type,
        beta=case.kl_coef,
        use_bias_correction_kl=case.weighted_kl,
        learning_rate=case.learning_rate,
        lr_scheduler_type="constant",
        optim="adamw_torch",
        max_grad_norm=case.max_grad_norm,
    )
    GRPOTrainer(
        model=policy,
        reward_funcs=stored("reward"),
        args=arguments,
        train_dataset=Dataset.from_list([question_for_trl(group.problem) for group in groups]),
        processing_class=processor,
        optimizers=descent(policy, case) if plainly else (None, None),
        rollout_func=replay_for_trl(groups, PROMPTS),
    ).train()
    return policy.state_dict()


def largest(weights: Weights, others: Weights) -> float:
    """The largest difference of any parameter."""
    assert weights.keys() == others.keys()
    return max(float((weights[name] - others[name]).abs().max()) for name in weights)


class Comparison:
    """Four steps of both, from the same weights."""

    def __init__(self, model: Path, processor, folder: Path) -> None:
        self.model, self.processor, self.folder = model, processor, folder
        self.start = load_policy(str(model), "float32").state_dict()

    def groups(self, case: Case) -> list[Group]:
        return scored_groups(self.processor, PROMPTS * STEPS // case.inner_epochs, SAMPLES, case.renderings)

    def ours(self, case: Case, kind: type[GRPOModule] = PlainlyStepped) -> Weights:
        return trained_by_us(self.model, self.processor, case, self.groups(case), kind)

    def theirs(self, case: Case, *, plainly: bool = True) -> Weights:
        return trained_by_trl(self.model, self.processor, case, self.groups(case), self.folder, plainly=plainly)


@pytest.fixture
def comparison(random_model, processor, tmp_path) -> Comparison:
    return Comparison(random_model, processor, tmp_path)


CASES = {
    "grpo": Case("grpo"),
    "dapo": Case("dapo"),
    "dr_grpo": Case("dr_grpo"),
    "grpo, kl": Case("grpo", kl_coef=0.1, learning_rate=0.2),
    "dapo, kl": Case("dapo", kl_coef=0.1, learning_rate=0.2),
    "dr_grpo, kl": Case("dr_grpo", kl_coef=0.1),
    "dapo, weighted kl": Case("dapo", kl_coef=0.1, weighted_kl=True),
    "dapo, two epochs": Case("dapo", inner_epochs=2),
    "grpo, two epochs, kl": Case("grpo", kl_coef=0.03, inner_epochs=2),
    "dapo, micro-batches": Case("dapo", micro_batches=True),
    "dapo, clipped gradient": Case("dapo", max_grad_norm=0.1, learning_rate=10.0),
    "dapo, images": Case("dapo", renderings=("vision_only",)),
    "grpo, images, two epochs, kl": Case(
        "grpo", kl_coef=0.03, inner_epochs=2, renderings=("vision_only", "vision_dominant"), learning_rate=0.15
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_four_steps_of_ours_are_four_of_trls(comparison, name):
    case = CASES[name]
    ours, theirs = comparison.ours(case), comparison.theirs(case)
    assert 0.03 < largest(theirs, comparison.start) < 0.5
    assert largest(ours, theirs) < 1e-6


def test_the_comparison_sees_another_eps(comparison):
    case = Case("dapo")
    theirs = comparison.theirs(case)
    assert largest(comparison.ours(replace(case, eps=1e-6)), theirs) > 3e-6


def test_four_steps_of_each_sides_own_adam_are_alike(comparison):
    """In the sum over all parameters: Adam lifts gradients that are rounding alone to the size of all others."""
    case = Case("dapo", learning_rate=0.01)
    ours, theirs = comparison.ours(case, GRPOModule), comparison.theirs(case, plainly=False)
    moved = sum(float((theirs[name] - comparison.start[name]).abs().sum()) for name in theirs)
    apart = sum(float((theirs[name] - ours[name]).abs().sum()) for name in theirs)
    assert largest(theirs, comparison.start) > 0.02
    assert apart < 1e-3 * moved
