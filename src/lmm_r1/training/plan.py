"""How large a run is and how long its steps should take, before it is started. No weights are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Any

import torch

from lmm_r1.errors import UserError
from lmm_r1.models.architecture import Architecture, VisionSizes, architecture_of
from lmm_r1.models.costs import Grid, key_value_bytes
from lmm_r1.models.devices import GPUS, Device, this_cpu, this_gpu
from lmm_r1.training.plan_disk import disk_space
from lmm_r1.training.plan_memory import BYTES, Counts, counts, engine_memory, pass_dtype, training_memory
from lmm_r1.training.plan_time import EXPECTED, StepTimes
from lmm_r1.training.prompt_lengths import PromptLengths, measured_lengths
from lmm_r1.training.settings import AlgorithmSettings, ModelSettings, RolloutSettings, TrainerSettings
from lmm_r1.training.step_costs import Passes, StepShape, passes_of, update_flops
from lmm_r1.types import Problem

UNBOUNDED = 2**31
ROOM = 0.92
"""Share of a device's memory that a run can fill: the rest goes to the driver, to communication and to gaps."""


@dataclass(frozen=True)
class Expected:
    """`expected`: lengths for a plan, where they cannot be measured."""

    prompt_tokens: int
    image_tokens: int
    """Visual tokens in a prompt, on top of `prompt_tokens`."""
    completion_tokens: int | None
    """None: half of `rollout.max_new_tokens`."""


@dataclass(frozen=True)
class Plan:
    """What `make_plan` found; the command line prints it. Seconds and operations of one RL step."""

    device: Device
    processes: int
    counts: Counts
    memory: dict[str, int]
    """Bytes on each device by part."""
    disk: dict[str, int]
    """Bytes that the run leaves on disk or needs there while it writes, without its rollouts."""
    available: float
    """Bytes that parts may fill on each device."""
    shape: StepShape
    """One process's share of a step, all groups of mean length."""
    lengths: PromptLengths
    completion_source: str
    sequences: int
    """Completions sampled at the same time, in each process."""
    cached_sequences: int
    """Completions of the greatest length that the key-value cache holds."""
    flops: dict[str, int]
    """Of one process by purpose, without what the backward pass computes again."""
    seconds: dict[str, float]
    """By phase."""
    cures: list[str]
    """What to change where it does not fit, the most effective first."""

    @property
    def needed(self) -> int:
        return sum(self.memory.values())

    @property
    def fits(self) -> bool:
        return self.needed <= self.available


def make_plan(
    device: Device,
    model: ModelSettings,
    algorithm: AlgorithmSettings,
    rollout: RolloutSettings,
    trainer: TrainerSettings,
    expected: Expected,
    data: Sequence[Problem] | None,
) -> Plan:
    """Args: `data`: the training set, or None where it cannot be read."""
    architecture, engine = architecture_of(model.path), rollout.engine.keywords
    lengths = _lengths(model, rollout, engine, expected, data)
    completion = expected.completion_tokens or -(-rollout.max_new_tokens // 2)
    shape = _shape(architecture.vision, lengths, completion, trainer.prompts_per_step // trainer.devices, rollout)
    numbers, passes = counts(architecture, model), passes_of(model, algorithm)
    longest = int(lengths.prompt) + rollout.max_new_tokens
    memory = training_memory(architecture, model, algorithm, trainer, shape, longest, device.type)
    memory |= engine_memory(architecture, numbers, engine, device, longest)
    completions = len(shape.prompts) * rollout.samples
    # The cache is dealt out in pages: it holds more completions of the expected length than of the greatest.
    held = _cached_sequences(architecture, memory, engine, round(lengths.prompt) + completion)
    sequences = max(1, min(completions, engine.get("max_num_seqs", completions), held))
    again = update_flops(architecture, shape, passes, recomputed=True)
    times = StepTimes(device, architecture, model, algorithm, engine, pass_dtype(trainer.precision), EXPECTED)
    return Plan(
        device=device,
        processes=trainer.devices,
        counts=numbers,
        memory=memory,
        disk=disk_space(numbers, model, algorithm, trainer),
        # Processes on a CPU share its memory.
        available=ROOM * device.memory / (trainer.devices if device.type == "cpu" else 1),
        shape=shape,
        lengths=lengths,
        completion_source="expected.completion_tokens" if expected.completion_tokens else "half of the most, assumed",
        sequences=sequences,
        cached_sequences=_cached_sequences(architecture, memory, engine, longest),
        flops=update_flops(architecture, shape, passes, recomputed=False),
        seconds=times.seconds(shape, sum(again.values()), sequences=sequences, longest=rollout.max_new_tokens),
        cures=_cures(memory, model, passes, engine),
    )


def planned_device(name: str | bool, trainer: TrainerSettings, rollout: RolloutSettings) -> Device:
    """`name` is what `plan` was set to; True means the machine that the run would have.

    Raises:
        UserError: this machine's GPU is asked for and there is none that the table knows.
    """
    if name is True:
        name = trainer.accelerator
    if name == "cpu":
        if trainer.threads is not None:
            torch.set_num_threads(trainer.threads)
        return this_cpu({pass_dtype(trainer.precision), rollout.engine.keywords.get("dtype", "float32")})
    if name != "gpu":
        return GPUS[name]
    device = this_gpu()
    if device is None:
        raise UserError(f"plan=true: no GPU here that the table has; name one: plan={', plan='.join(GPUS)}")
    return device


def _lengths(
    model: ModelSettings,
    rollout: RolloutSettings,
    engine: Mapping[str, Any],
    expected: Expected,
    data: Sequence[Problem] | None,
) -> PromptLengths:
    measured = None
    if data is not None:
        measured = measured_lengths(model, data, rollout.training, engine.get("max_model_len", UNBOUNDED))
    if measured is not None:
        return measured
    missing = "the data set cannot be read" if data is None else "no tokenizer here"
    total = expected.prompt_tokens + expected.image_tokens
    return PromptLengths(total, expected.image_tokens, f"expected.prompt_tokens, {missing}")


def _shape(
    vision: VisionSizes, lengths: PromptLengths, completion: int, groups: int, rollout: RolloutSettings
) -> StepShape:
    image: tuple[Grid, ...] = ()
    if lengths.image >= 1:
        # The nearest square: windows and full attention cost about the same in another shape of this area.
        side = 2 * max(1, isqrt(round(lengths.image)))
        image = ((1, side, round(lengths.image * vision.merged_patches / side)),)
    completions = (completion,) * rollout.samples
    return StepShape((round(lengths.prompt),) * groups, (completions,) * groups, (image,) * groups)


def _cached_sequences(
    architecture: Architecture, memory: Mapping[str, int], engine: Mapping[str, Any], tokens: int
) -> int:
    if "dtype" not in engine:
        return UNBOUNDED
    return memory["KV cache"] // (tokens * key_value_bytes(architecture.text, BYTES[engine["dtype"]]))


def _cures(memory: Mapping[str, int], model: ModelSettings, passes: Passes, engine: Mapping[str, Any]) -> list[str]:
    """Settings that spare memory, each with the gigabytes it spares, the largest first."""
    spared = {}
    if passes.critic == "own":
        spared["algorithm.critic.own_model=false"] = memory["critic"]
    if model.lora is None:
        optimisers = 2 if passes.critic == "own" else 1
        low_rank = memory["gradients"] + optimisers * memory["optimiser"] + memory["reference"]
        spared["model.lora (model=qwen2_5_vl_3b_lora)"] = low_rank
    if passes.reference and model.lora is None:
        spared["algorithm.kl_coef=0"] = memory["reference"]
    if not model.gradient_checkpointing:
        spared["model.gradient_checkpointing=true"] = memory["activations"] * 3 // 4
    else:
        spared["half of algorithm.micro_batch_tokens"] = memory["activations"] // 2
    if "gpu_memory_utilization" in engine or "kv_cache_gib" in engine:
        spared["half of the KV cache (rollout.engine)"] = memory["KV cache"] // 2
    largest = sorted(spared.items(), key=lambda cure: -cure[1])
    return [f"{setting} spares {size / 1e9:.0f} GB" for setting, size in largest if size >= 1e9]
