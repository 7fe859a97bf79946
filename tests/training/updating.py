"""Updates on stored groups: real steps of a tiny model with no engine."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from unittest import mock

import lightning as L
import torch
from hydra.utils import instantiate

from lmm_r1.algorithms.advantages import group_normalised
from lmm_r1.algorithms.aggregation import token_mean
from lmm_r1.algorithms.kl import k3
from lmm_r1.algorithms.losses import clipped_surrogate
from lmm_r1.cli.composition import compose_config, plain
from lmm_r1.cli.paths import register_resolvers
from lmm_r1.models.loading import load_policy
from lmm_r1.models.value_model import ValueModel
from lmm_r1.training.batch import RolloutBatch
from lmm_r1.training.collate import collate
from lmm_r1.training.group_advantages import group_advantages
from lmm_r1.training.module import GRPOModule
from lmm_r1.training.phases import Phases
from lmm_r1.training.ppo import PPOModule
from lmm_r1.training.settings import AlgorithmSettings, ModelSettings
from lmm_r1.types import Experience

WEIGHTS = {"accuracy": 1.0, "format": 0.5}
"""Of the terms that `make_groups` gives."""
ONE_PROCESS = SimpleNamespace(world_size=1, global_rank=0)
"""What a trainer says of its processes."""


def settings(**changes) -> AlgorithmSettings:
    values = {
        "name": "grpo",
        "advantage": functools.partial(group_normalised, eps=1e-4),
        "advantage_of": "reward",
        "resampling_rounds": 0,
        "estimator": None,
        "critic": None,
        "loss": functools.partial(clipped_surrogate, clip_low=0.2, clip_high=0.2),
        "aggregation": token_mean,
        "correction": None,
        "entropy_coef": 0.0,
        "kl": k3,
        "kl_in": "loss",
        "kl_coef": 0.0,
        "kl_control": None,
        "learning_rate": 1e-3,
        "betas": (0.9, 0.95),
        "weight_decay": 0.0,
        "schedule": "constant",
        "warmup_ratio": 0.0,
        "min_learning_rate_ratio": 0.1,
        "max_grad_norm": 1e9,
        "mini_batches": 1,
        "inner_epochs": 1,
        "micro_batch_tokens": 10_000,
    }
    return AlgorithmSettings(**(values | changes))


@cache
def _composed(overrides: tuple[str, ...]) -> dict:
    register_resolvers()
    return plain(compose_config("train", overrides))["algorithm"]


def configured(name: str, *overrides: str, **changes) -> AlgorithmSettings:
    """`conf/algorithm/<name>.yaml` with other values on top."""
    algorithm = instantiate(_composed((f"algorithm={name}", *overrides)), _convert_="all")
    return replace(algorithm, **changes)


def model_settings(path, **changes) -> ModelSettings:
    """`conf/model/tiny.yaml` for another folder, with other values on top."""
    values = {
        "dtype": "float32",
        "attention": "sdpa",
        "freeze_vision": False,
        "lora": None,
        "gradient_checkpointing": False,
        "min_pixels": None,
        "max_pixels": None,
        "system_prompt": None,
    }
    return ModelSettings(path=str(path), **(values | changes))


def experience_of(groups, processor, algorithm: AlgorithmSettings | None = None) -> Experience:
    """What the rollout callback would hand over."""
    algorithm = algorithm or settings()
    weights = WEIGHTS if algorithm.advantage_of == "terms" else None
    return collate(groups, group_advantages(ONE_PROCESS, groups, algorithm.advantage, weights), processor)


class Gradients(L.Callback):
    """Keeps a copy of the gradient of every optimiser step, the policy's and the critic's."""

    def __init__(self) -> None:
        self.steps: list[dict[str, torch.Tensor]] = []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer) -> None:
        stepped = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        self.steps.append(
            {
                name.removeprefix("policy."): parameter.grad.clone()
                for name, parameter in pl_module.named_parameters()
                if parameter.grad is not None and id(parameter) in stepped
            }
        )


class Sums(L.Callback):
    """Counts the bytes that are summed over processes in each RL step."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        self.steps.append(0)
        self._counting = mock.patch.object(torch.distributed, "all_reduce", self._counted(torch.distributed.all_reduce))
        self._counting.start()

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        self._counting.stop()

    def _counted(self, all_reduce: Callable) -> Callable:
        def counted(tensor: torch.Tensor, *arguments, **options):
            self.steps[-1] += tensor.numel() * tensor.element_size()
            return all_reduce(tensor, *arguments, **options)

        return counted


def module_of(
    model, algorithm: AlgorithmSettings, banned, *, policy=None, reference=None, critic=None, optimiser_steps: int = 4
) -> GRPOModule:
    """The module for a model's folder, with a critic and a reference where the algorithm wants them."""
    policy = policy or load_policy(str(model), "float32")
    if reference is None and algorithm.kl_coef and not hasattr(policy, "disable_adapter"):
        reference = load_policy(str(model), "float32")
    shared = {
        "temperature": 1.0,
        "banned_token_ids": banned,
        "optimiser_steps": optimiser_steps,
        "phases": Phases(),
        "seed": 0,
    }
    if algorithm.critic is None:
        return GRPOModule(policy, reference, algorithm, **shared)
    own = algorithm.critic.own_model
    critic = critic or ValueModel(load_policy(str(model), "float32") if own else policy, trains_model=own)
    return PPOModule(policy, critic, reference, algorithm, **shared)


def trainer_of(*callbacks: L.Callback, **changes) -> L.Trainer:
    return L.Trainer(
        max_epochs=1,
        accelerator="cpu",
        callbacks=list(callbacks),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **changes,
    )


def loader_of(*experiences: Experience) -> torch.utils.data.DataLoader:
    batches = [RolloutBatch([], [], experience) for experience in experiences]
    # A generator of its own: a loader without one draws from the run's when it begins, which `StepLoader` does not.
    own = torch.Generator()
    return torch.utils.data.DataLoader(batches, batch_size=None, collate_fn=lambda item: item, generator=own)


def take_steps(module: GRPOModule, *experiences: Experience) -> list[dict[str, torch.Tensor]]:
    """One RL step on each experience; returns the gradients of all optimiser steps."""
    gradients = Gradients()
    trainer_of(gradients).fit(module, loader_of(*experiences))
    return gradients.steps


def spoil_gradient(model: torch.nn.Module, value: float, steps: set[int]) -> None:
    """Put `value` into a gradient of the model in these of its backward passes, counted from 0."""
    passes = itertools.count()

    def spoilt(gradient: torch.Tensor) -> torch.Tensor:
        if next(passes) not in steps:
            return gradient
        gradient = gradient.clone()
        gradient.view(-1)[0] = value
        return gradient

    next(parameter for parameter in reversed(list(model.parameters())) if parameter.requires_grad).register_hook(spoilt)


def difference(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> float:
    """The largest difference of two gradients, relative to the largest entry."""
    assert first.keys() == second.keys()
    largest = max(float(gradient.abs().max()) for gradient in first.values())
    return max(float((first[name] - second[name]).abs().max()) for name in first) / largest
