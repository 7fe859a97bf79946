"""The bytes that a run needs on each device, part by part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lmm_r1.models.architecture import Architecture
from lmm_r1.models.costs import (
    adapter_parameters,
    head_bytes,
    key_value_bytes,
    language_activation_bytes,
    parameters,
    vision_activation_bytes,
)
from lmm_r1.models.devices import Device
from lmm_r1.training.distributed import MESSAGE_BYTES
from lmm_r1.training.settings import AlgorithmSettings, ModelSettings, TrainerSettings
from lmm_r1.training.step_costs import StepShape, trains_vision

BYTES = {"float32": 4, "bfloat16": 2}
GIB = 2**30


@dataclass(frozen=True)
class Counts:
    """Parameters by what happens to them."""

    language: int
    vision: int
    head: int
    """0 where it is tied to the embedding."""
    adapters: int
    trained: int

    @property
    def model(self) -> int:
        """Of the model without adapters: what the engine and the reference hold."""
        return self.language + self.vision + self.head


def counts(architecture: Architecture, model: ModelSettings) -> Counts:
    own = parameters(architecture)
    if model.lora is None:
        adapters, trained = 0, own.total - (own.vision if model.freeze_vision else 0)
    else:
        adapters = trained = adapter_parameters(
            architecture, model.lora.rank, model.lora.target_modules, vision=not model.freeze_vision
        )
    return Counts(own.language, own.vision, own.head, adapters, trained)


def pass_dtype(precision: str) -> str:
    """Of the forward and backward passes, by Lightning's name of a precision."""
    return "float32" if precision == "32-true" else "bfloat16"


def trained_bytes(model: ModelSettings) -> int:
    """Of a trained number, its gradient or a moment: adapters are float32 on weights of any kind."""
    return BYTES["float32" if model.lora is not None else model.dtype]


def training_memory(
    architecture: Architecture,
    model: ModelSettings,
    algorithm: AlgorithmSettings,
    trainer: TrainerSettings,
    shape: StepShape,
    longest: int,
    device_type: str,
) -> dict[str, int]:
    """Bytes by part, of one process; 0 where there is none.

    Merged copies of adapted weights are not among them: a sync makes one after the other, when the update's are gone.

    Args:
        shape: one process's share of a step, as expected.
        longest: tokens of a prompt with a completion as long as it may be.
        device_type: `cpu` or `cuda`.
    """
    numbers, each, in_passes = counts(architecture, model), BYTES[model.dtype], BYTES[pass_dtype(trainer.precision)]
    learning = trained_bytes(model)
    message = MESSAGE_BYTES if trainer.devices > 1 else 0
    # Several processes share the optimiser's two moments out among them (`training.optimiser`).
    moments = 2 * numbers.trained * learning // trainer.devices
    shared_tower = numbers.vision if model.freeze_vision else 0
    copied = algorithm.kl_coef != 0 and model.lora is None
    memory = {
        "weights": numbers.model * each + numbers.adapters * learning,
        "gradients": numbers.trained * learning + message,
        "optimiser": moments,
        "reference": (numbers.model - shared_tower) * each if copied else 0,
        "critic": 0,
        "activations": _activations(architecture, model, algorithm, shape, longest, each, in_passes),
        "logits": head_bytes(architecture.text, each, in_passes, trained=model.lora is None, device_type=device_type),
    }
    if trainer.devices > 1 and device_type == "cuda":
        # AdamW of all tensors at once holds a root of the second moments (torch's _multi_tensor_adamw), when
        # activations and logits are gone. One process has the fused kernel, and a CPU goes tensor by tensor.
        memory["optimiser step"] = max(0, moments // 2 - memory["activations"] - memory["logits"])
    if algorithm.critic is not None and algorithm.critic.own_model:
        # Its gradients come when the policy's are gone.
        own = (numbers.model - numbers.head - shared_tower) * each + numbers.adapters * learning
        memory["critic"] = own + moments
    return memory


def engine_memory(
    architecture: Architecture, numbers: Counts, engine: Mapping[str, Any], device: Device, tokens: int
) -> dict[str, int]:
    """Bytes of the engine's own weights and of its key-value cache.

    Args:
        engine: the arguments of the engine, `conf/rollout`.
        tokens: of a prompt with a completion as long as it may be.
    """
    if "dtype" not in engine:
        return {"engine weights": 0, "KV cache": 0}
    each = BYTES[engine["dtype"]]
    weights = numbers.model * each
    if engine.get("kv_cache_gib") is not None:
        cache = int(engine["kv_cache_gib"] * GIB)
    elif "gpu_memory_utilization" in engine:
        cache = max(0, int(engine["gpu_memory_utilization"] * device.memory) - weights)
    else:
        cache = engine["max_num_seqs"] * tokens * key_value_bytes(architecture.text, each)
    return {"engine weights": weights, "KV cache": cache}


def _activations(
    architecture: Architecture,
    model: ModelSettings,
    algorithm: AlgorithmSettings,
    shape: StepShape,
    longest: int,
    each: int,
    in_passes: int,
) -> int:
    """Of the largest micro-batch: what autograd keeps, with the casts of the weights under mixed precision."""
    completions = sum(map(len, shape.completions))
    # However long completions grow: one that exceeds the budget has a row to itself.
    mini_batch = -(-completions // algorithm.mini_batches) * longest
    tokens = max(min(algorithm.micro_batch_tokens, mini_batch), longest)
    patches = min(shape.patches, shape.patches * tokens // shape.shared_tokens)
    checkpointing = model.gradient_checkpointing
    activations = language_activation_bytes(architecture.text, tokens, in_passes, checkpointing=checkpointing)
    if trains_vision(model):
        activations += vision_activation_bytes(architecture.vision, patches, in_passes, checkpointing=checkpointing)
    if each != in_passes:
        layers = architecture.text.layers if checkpointing else 1
        activations += parameters(architecture).total * in_passes // layers
    return activations
