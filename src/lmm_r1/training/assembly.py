"""From settings to the models of a run: policy, reference and critic, and the module that updates them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from transformers import ProcessorMixin

from lmm_r1.atomic_files import replacing
from lmm_r1.models.image_features import share_frozen_tower
from lmm_r1.models.loading import load_policy, load_processor
from lmm_r1.models.value_model import ValueModel
from lmm_r1.training.module import GRPOModule
from lmm_r1.training.phases import Phases
from lmm_r1.training.ppo import PPOModule
from lmm_r1.training.settings import AlgorithmSettings, ModelSettings
from lmm_r1.types import Problem


def load_trained(settings: ModelSettings, start: str) -> torch.nn.Module:
    """A model that will learn: the policy, or the critic's own."""
    return load_policy(
        start,
        settings.dtype,
        attention=settings.attention,
        freeze_vision=settings.freeze_vision,
        lora=settings.lora,
        gradient_checkpointing=settings.gradient_checkpointing,
    )


def load_policy_and_processor(settings: ModelSettings, start: str) -> tuple[torch.nn.Module, ProcessorMixin]:
    return load_trained(settings, start), load_processor(start, settings.min_pixels, settings.max_pixels)


def policy_module(
    policy: torch.nn.Module,
    model: ModelSettings,
    algorithm: AlgorithmSettings,
    start: str,
    *,
    temperature: float,
    banned_token_ids: tuple[int, ...],
    steps: int,
    phases: Phases,
    seed: int,
) -> GRPOModule:
    """The module of a run of `steps` RL steps, with the reference policy and the critic that the algorithm wants.

    With LoRA the reference is the policy without its adapter, and no copy is loaded.
    """
    needs_copy = algorithm.kl_coef != 0 and model.lora is None
    reference = load_policy(start, model.dtype, attention=model.attention) if needs_copy else None
    shared = {
        "temperature": temperature,
        "banned_token_ids": banned_token_ids,
        "optimiser_steps": steps * algorithm.mini_batches * algorithm.inner_epochs,
        "phases": phases,
        "seed": seed,
    }
    if algorithm.critic is None:
        return GRPOModule(policy, reference, algorithm, **shared)
    read = policy
    if algorithm.critic.own_model:
        read = load_trained(model, start)
        share_frozen_tower(policy, read)
    critic = ValueModel(read, trains_model=algorithm.critic.own_model)
    return PPOModule(policy, critic, reference, algorithm, **shared)


def random_model(folder: Path, build: Callable[..., None], pairs: Sequence[tuple[Problem, str]], seed: int) -> str:
    """The folder of a freshly built model, whose tokenizer has read the training set's own text."""
    if not (folder / "config.json").is_file():
        read = (pairs[index] for index in range(min(4096, len(pairs))))
        corpus = (text for problem, response in read for text in (problem.question, response))
        with replacing(folder) as partial:
            build(folder=partial, corpus=corpus, seed=seed)
    return str(folder)
