"""What a training run is told, one frozen record for each group of `conf/`.

Hydra instantiates them (`_target_` in the group's file), so that a misspelt key fails there and nothing below the
entry points ever sees a `DictConfig`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from lmm_r1.algorithms.losses import TokenLoss
from lmm_r1.models.loading import LoraSettings
from lmm_r1.rollout.engine import RolloutEngine
from lmm_r1.training.estimators import TokenAdvantages
from lmm_r1.types import Sampling


@dataclass(frozen=True)
class ModelSettings:
    """`conf/model`: the policy and how it is loaded."""

    path: str
    """A Hugging Face folder or hub id."""
    dtype: str
    """Of the weights, `float32` or `bfloat16`; adapters are float32 on either. The engine's is its own setting."""
    attention: str
    """`sdpa`, or on a GPU `flex_attention`; see `lmm_r1.models.shared_prefix`."""
    freeze_vision: bool
    lora: LoraSettings | None
    gradient_checkpointing: bool
    min_pixels: int | None
    max_pixels: int | None
    """Bounds on an image's area in pixels; null keeps the processor's own."""
    system_prompt: str | None


@dataclass(frozen=True)
class CriticSettings:
    """`conf/algorithm`, `critic`: the value model of PPO."""

    own_model: bool
    """True: a copy of the starting model that learns with its head. False: the head alone learns, on the hidden states
    of the policy, which take no gradient from it; no further model in memory."""
    learning_rate: float
    warmup_ratio: float
    clip: float | None
    """How far a value may move in an update before its loss stops rewarding it."""
    max_grad_norm: float


@dataclass(frozen=True)
class AlgorithmSettings:
    """`conf/algorithm`: from rewards to an optimiser step."""

    name: str
    """What tables of results call it."""
    advantage: Callable[..., torch.Tensor]
    """Rewards `[P, G]` to advantages `[P, G]`, see `lmm_r1.algorithms.advantages`; or terms `[K, P, G]` and their
    weights `[K]`, where `advantage_of` is `terms`."""
    advantage_of: str
    """`reward`, the weighted sum, or `terms`, each term of the reward on its own."""
    resampling_rounds: int
    """How many times more to ask further problems until the batch is full of groups whose rewards differ; 0: never."""
    estimator: Callable[..., TokenAdvantages] | None
    """From the rewards of tokens to their advantages, see `lmm_r1.training.estimators`; null gives every token the
    advantage of its completion."""
    critic: CriticSettings | None
    """The value model, for an estimator that wants values."""
    loss: Callable[..., TokenLoss]
    """Per-token policy loss `[B, T]`, see `lmm_r1.algorithms.losses`."""
    aggregation: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
    """How token losses become one number, see `lmm_r1.algorithms.aggregation`."""
    correction: Callable[..., torch.Tensor] | None
    """`conf/correction`: weights for the difference between sampler and trainer, see `lmm_r1.algorithms.correction`."""
    entropy_coef: float
    """Weight of the policy's entropy, to be maximised; 0 spares its gradient."""
    kl: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    """Per-token estimate of the divergence from the reference policy, see `lmm_r1.algorithms.kl`."""
    kl_in: str
    """Where the penalty acts: `loss`, or `reward` (of each token, for an estimator to see)."""
    kl_coef: float
    """0: no reference policy is built and no pass is made for it."""
    kl_control: Callable[..., float] | None
    """Moves the coefficient after each rollout, see `lmm_r1.algorithms.kl_control`; what it measures is the divergence
    summed over a completion. null keeps it."""
    learning_rate: float
    betas: tuple[float, float]
    weight_decay: float
    schedule: str
    """`constant` or `cosine`, over the optimiser steps of the whole run."""
    warmup_ratio: float
    """Share of the run's optimiser steps during which the learning rate rises linearly from 0."""
    min_learning_rate_ratio: float
    """Where the cosine ends, as a share of the learning rate."""
    max_grad_norm: float
    mini_batches: int
    """Optimiser steps for each pass over a rollout."""
    inner_epochs: int
    """Passes over a rollout."""
    micro_batch_tokens: int
    """Tokens in one forward and backward pass, each prompt counted once; changes memory and speed, never the result."""

    @property
    def learning_rates(self) -> list[float]:
        """The policy's, and the critic's where there is one."""
        return [self.learning_rate, *([] if self.critic is None else [self.critic.learning_rate])]


@dataclass(frozen=True)
class RolloutSettings:
    """`conf/rollout`: the engine and how it samples."""

    engine: Callable[..., RolloutEngine]
    """Called with `model_path` when the run starts."""
    samples: int
    temperature: float
    max_new_tokens: int
    validation_samples: int
    validation_temperature: float

    @property
    def training(self) -> Sampling:
        return Sampling(self.samples, self.temperature, self.max_new_tokens)

    @property
    def validation(self) -> Sampling:
        return Sampling(self.validation_samples, self.validation_temperature, self.max_new_tokens)


@dataclass(frozen=True)
class SupervisedSettings:
    """`conf/stage/sft`: the supervised warm start."""

    batch_size: int
    micro_batch_size: int
    learning_rate: float
    warmup_ratio: float
    max_grad_norm: float
    build: Callable[..., None] | None
    """Writes the randomly initialised model to start from (`folder`, `corpus`, `seed`); null trains `model.path`."""


@dataclass(frozen=True)
class TrainerSettings:
    """`conf/trainer`: the machine and the budget."""

    accelerator: str
    devices: int
    """Processes, each with a device, a copy of the policy and an engine of its own."""
    precision: str
    """What the passes are made in: `32-true`, `bf16-mixed` (on float32 weights, or under adapters on bfloat16 ones) or
    `bf16-true` (on bfloat16 weights); see `lmm_r1.training.precision`. Log-probabilities, advantages, losses, metrics
    and sums over processes are float32 in each."""
    steps: int
    """RL steps: one rollout and its updates each."""
    prompts_per_step: int
    """P, over all processes together."""
    validate_every: int
    """RL steps between validations; 0 validates at the start and the end only."""
    validation_batch_size: int
    """Problems in one call of the engine."""
    checkpoint_every: int
    keep_checkpoints: int
    max_skipped_steps: int
    """Optimiser steps in a row that are skipped because of NaN or infinity; as many end the run."""
    threads: int | None
    """torch's threads for each process on CPU; null leaves what torch chose."""


@dataclass(frozen=True)
class RunSettings:
    """What the entry point adds: which run this is."""

    stage: str
    seed: int
    folder: Path
    init_from: str | None
    """null: `model.path`; or the folder of a finished run, or of a model."""
    resume: bool
    replay: str | None
    """The command that makes the updates again from the stored rollouts; None where none are stored."""
    cache: Path
    """The folder of what runs with the same data need not find out twice."""
    min_usable_share: float
    """Of a data set's rows; where fewer are usable, the run does not start."""
    max_bad_rows: int
    """Training rows that may prove bad when they are read; one more ends the run."""
