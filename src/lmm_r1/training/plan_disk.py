"""The bytes that a run needs on disk."""

from __future__ import annotations

from lmm_r1.training.plan_memory import BYTES, Counts, trained_bytes
from lmm_r1.training.settings import AlgorithmSettings, CriticSettings, ModelSettings, TrainerSettings


def disk_space(
    numbers: Counts, model: ModelSettings, algorithm: AlgorithmSettings, trainer: TrainerSettings
) -> dict[str, int]:
    """Bytes by part. A checkpoint is dropped when the next is complete, so there is one more than are kept."""
    checkpoints = (trainer.keep_checkpoints + 1) * checkpoint_bytes(numbers, model, algorithm.critic)
    return {"checkpoints": checkpoints, "export": export_bytes(numbers, model)}


def checkpoint_bytes(numbers: Counts, model: ModelSettings, critic: CriticSettings | None) -> int:
    """Weights, adapters and two moments of what is trained, of the policy and of a critic with a model of its own."""
    each = BYTES[model.dtype]
    learned = (numbers.adapters + 2 * numbers.trained) * trained_bytes(model)
    checkpoint = numbers.model * each + learned
    if critic is not None and critic.own_model:
        shared_tower = numbers.vision if model.freeze_vision else 0
        checkpoint += (numbers.model - numbers.head - shared_tower) * each + learned
    return checkpoint


def export_bytes(numbers: Counts, model: ModelSettings) -> int:
    return numbers.model * BYTES[model.dtype]
