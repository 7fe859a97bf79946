"""The seconds that a step should take on a device, phase by phase."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmm_r1.models.architecture import Architecture
from lmm_r1.models.costs import head_flops, key_value_bytes, language_flops, parameters, vision_flops
from lmm_r1.models.devices import Device
from lmm_r1.training.plan_memory import BYTES, Counts
from lmm_r1.training.settings import AlgorithmSettings, ModelSettings
from lmm_r1.training.step_costs import StepShape

UPDATE_SHARE = 0.45
"""Of a device's nominal operations that a good update reaches; published runs of 3B models lie between 8 % (EasyR1,
assets/baselines.md) and 35 % (prime-rl, benchmarks/baselines)."""
SAMPLING_SHARE = 0.6
"""Of a device's nominal operations that an engine reaches in prefill and in large batches of decoding: assumed."""
BANDWIDTH_SHARE = 0.8
"""Of a device's nominal bandwidth that decoding reaches: assumed."""


def rollout_seconds(
    architecture: Architecture,
    device: Device,
    engine: Mapping[str, Any],
    shape: StepShape,
    *,
    sequences: int,
    max_new_tokens: int,
) -> float:
    """Sampling one process's share of a step: prefill once for each prompt, then a token a step for all sequences.

    What the engine does besides products of matrices is left out; it dominates where the model is tiny.

    Args:
        sequences: completions that are sampled at the same time.
        max_new_tokens: of the longest completion, for which the step waits: it reads the weights once a token.
    """
    if "dtype" not in engine:
        return 0.0
    text, dtype = architecture.text, engine["dtype"]
    flops, bandwidth = SAMPLING_SHARE * device.flops[dtype], BANDWIDTH_SHARE * device.bandwidth
    prompts = language_flops(text, sum(shape.prompts), sum(prompt**2 for prompt in shape.prompts))
    prefill = prompts + vision_flops(architecture.vision, [image for images in shape.images for image in images])
    # Attention of a completion's tokens to what lies before them: on average the prompt and half of itself.
    seen = sum(
        length * (prompt + length // 2)
        for prompt, lengths in zip(shape.prompts, shape.completions, strict=True)
        for length in lengths
    )
    tokens = shape.completion_tokens
    operations = language_flops(text, tokens, seen) + head_flops(text, tokens)
    weights = parameters(architecture)
    once = (weights.language + weights.head) * BYTES[dtype]
    read = once * tokens / sequences + seen * key_value_bytes(text, BYTES[dtype])
    return prefill / flops + max(operations / flops, read / bandwidth, once * max_new_tokens / bandwidth)


def update_seconds(
    device: Device, flops: int, numbers: Counts, model: ModelSettings, algorithm: AlgorithmSettings, dtype: str
) -> float:
    """Args: `flops`: of one process, with what is computed again; `dtype`: of the passes."""
    steps = algorithm.mini_batches * algorithm.inner_epochs
    if algorithm.critic is not None and algorithm.critic.own_model:
        steps *= 2
    # AdamW reads weight, gradient and two moments, and writes all but the gradient.
    moved = 7 * numbers.trained * BYTES[model.dtype] * steps
    return flops / (UPDATE_SHARE * device.flops[dtype]) + moved / (BANDWIDTH_SHARE * device.bandwidth)


def sync_seconds(device: Device, numbers: Counts, model: ModelSettings, engine: Mapping[str, Any]) -> float:
    """Reading the policy's weights and writing the engine's, on the same device."""
    if "dtype" not in engine:
        return 0.0
    moved = numbers.model * (BYTES[model.dtype] + BYTES[engine["dtype"]])
    return moved / (BANDWIDTH_SHARE * device.bandwidth)
