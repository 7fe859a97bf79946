"""The bytes that a run needs on disk."""

from __future__ import annotations

from lmm_r1.training.plan_memory import BYTES, Counts, trained_bytes
from lmm_r1.training.settings import AlgorithmSettings, ModelSettings, TrainerSettings


def disk_space(
    numbers: Counts, model: ModelSettings, algorithm: AlgorithmSettings, trainer: TrainerSettings
) -> dict[str, int]:
    """Bytes by part.

    A checkpoint holds weights, adapters and two moments of what is trained. One is dropped when the next is complete,
    so there is one more than are kept.
    """
    each = BYTES[model.dtype]
    learned = (numbers.adapters + 2 * numbers.trained) * trained_bytes(model)
    checkpoint = numbers.model * each + learned
    if algorithm.critic is not None and algorithm.critic.own_model:
        shared_tower = numbers.vision if model.freeze_vision else 0
        checkpoint += (numbers.model - numbers.head - shared_tower) * each + learned
    return {"checkpoints": (trainer.keep_checkpoints + 1) * checkpoint, "export": numbers.model * each}
