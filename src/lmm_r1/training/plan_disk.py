"""The bytes that a run needs on disk."""

from __future__ import annotations

from lmm_r1.models.costs import checkpoint_bytes
from lmm_r1.training.plan_memory import BYTES, Counts
from lmm_r1.training.settings import AlgorithmSettings, ModelSettings, TrainerSettings


def disk_space(
    numbers: Counts, model: ModelSettings, algorithm: AlgorithmSettings, trainer: TrainerSettings
) -> dict[str, int]:
    """Bytes by part. A checkpoint is dropped when the next one is complete, so there is one more than are kept."""
    each = BYTES[model.dtype]
    held = numbers.model + numbers.adapters
    checkpoint = checkpoint_bytes(held, numbers.trained, each)
    if algorithm.critic is not None and algorithm.critic.own_model:
        shared_tower = numbers.vision if model.freeze_vision else 0
        checkpoint += checkpoint_bytes(held - numbers.head - shared_tower, numbers.trained, each)
    return {"checkpoints": (trainer.keep_checkpoints + 1) * checkpoint, "export": numbers.model * each}
