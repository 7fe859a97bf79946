"""The seconds that a step should take on a device, phase by phase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lmm_r1.models.architecture import Architecture
from lmm_r1.models.costs import head_flops, key_value_bytes, language_flops, parameters, vision_flops
from lmm_r1.models.devices import Device
from lmm_r1.training.plan_memory import BYTES, counts
from lmm_r1.training.settings import AlgorithmSettings, ModelSettings
from lmm_r1.training.step_costs import StepShape


@dataclass(frozen=True)
class Shares:
    """How much of a device's nominal speed is reached."""

    update: float
    """Of its operations, in forward and backward passes."""
    sampling: float
    """Of its operations, in prefill and in large batches of decoding."""
    bandwidth: float


EXPECTED = Shares(update=0.45, sampling=0.6, bandwidth=0.8)
"""What a good update reaches, where published runs of 3B models lie between 8 % (EasyR1, assets/baselines.md) and 35 %
(prime-rl, benchmarks/baselines); the others are assumed."""
ROOFLINE = Shares(update=1.0, sampling=1.0, bandwidth=1.0)
"""What no program exceeds (Williams et al. 2009)."""


@dataclass(frozen=True)
class StepTimes:
    """What a step costs in seconds, at given shares of a device's nominal speed."""

    device: Device
    architecture: Architecture
    model: ModelSettings
    algorithm: AlgorithmSettings
    engine: Mapping[str, Any]
    """Its arguments, `conf/rollout`; one without a dtype computes nothing."""
    dtype: str
    """Of the update's passes."""
    shares: Shares

    def seconds(self, shape: StepShape, flops: int, *, sequences: int, longest: int) -> dict[str, float]:
        """By phase: `sync`, `rollout`, `update`. What is no product of matrices is left out, and what processes tell
        each other.

        Args:
            shape: one process's share of a step.
            flops: of its update.
            sequences: completions that are sampled at the same time.
            longest: tokens of the longest completion, for which the step waits.
        """
        return {
            "sync": self._sync(),
            "rollout": self._rollout(shape, sequences, longest),
            "update": self._update(flops),
        }

    @property
    def _bandwidth(self) -> float:
        return self.shares.bandwidth * self.device.bandwidth

    def _sync(self) -> float:
        """Reading the policy's weights and writing the engine's, on the same device."""
        if "dtype" not in self.engine:
            return 0.0
        numbers = counts(self.architecture, self.model)
        return numbers.model * (BYTES[self.model.dtype] + BYTES[self.engine["dtype"]]) / self._bandwidth

    def _rollout(self, shape: StepShape, sequences: int, longest: int) -> float:
        """Prefill once for each prompt, then a token a step for all sequences, reading the weights once a step.

        What the engine does besides products of matrices dominates where the model is tiny.
        """
        if "dtype" not in self.engine:
            return 0.0
        text, dtype = self.architecture.text, self.engine["dtype"]
        flops = self.shares.sampling * self.device.flops[dtype]
        prompts = language_flops(text, sum(shape.prompts), sum(prompt**2 for prompt in shape.prompts))
        images = [image for images in shape.images for image in images]
        prefill = prompts + vision_flops(self.architecture.vision, images)
        # Attention of a completion's tokens to what lies before them: on average the prompt and half of itself.
        seen = sum(
            length * (prompt + length // 2)
            for prompt, lengths in zip(shape.prompts, shape.completions, strict=True)
            for length in lengths
        )
        tokens = shape.completion_tokens
        operations = language_flops(text, tokens, seen) + head_flops(text, tokens)
        weights = parameters(self.architecture)
        once = (weights.language + weights.head) * BYTES[dtype]
        read = once * tokens / sequences + seen * key_value_bytes(text, BYTES[dtype])
        return prefill / flops + max(operations / flops, max(read, once * longest) / self._bandwidth)

    def _update(self, flops: int) -> float:
        steps = self.algorithm.mini_batches * self.algorithm.inner_epochs
        if self.algorithm.critic is not None and self.algorithm.critic.own_model:
            steps *= 2
        # AdamW reads weight, gradient and two moments, and writes all but the gradient.
        trained = counts(self.architecture, self.model).trained
        moved = 7 * trained * BYTES[self.model.dtype] * steps
        return flops / (self.shares.update * self.device.flops[self.dtype]) + moved / self._bandwidth
