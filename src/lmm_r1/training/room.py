"""Whether the disk has room for what a run will save, before it starts."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from lmm_r1.errors import UserError
from lmm_r1.models.architecture import architecture_of
from lmm_r1.training.plan_disk import checkpoint_bytes, export_bytes
from lmm_r1.training.plan_memory import Counts, counts
from lmm_r1.training.settings import CriticSettings, ModelSettings, TrainerSettings

GB = 1e9


def check_room(
    folder: Path, start: str, model: ModelSettings, trainer: TrainerSettings, critic: CriticSettings | None
) -> None:
    """Compare what lies free on the disk with the checkpoints that will be there at a time and the export.

    A new checkpoint is there before the oldest is removed. Rollouts and pictures are not counted.

    Args:
        folder: of the run.
        start: the folder or hub id whose sizes the model has.

    Raises:
        UserError: it will not do.
    """
    numbers = least_numbers(counts(architecture_of(start), model), model)
    checkpoint, export = checkpoint_bytes(numbers, model, critic), export_bytes(numbers, model)
    there = len(list((folder / "checkpoints").glob("step_*.ckpt")))
    planned = min(-(-trainer.steps // trainer.checkpoint_every), trainer.keep_checkpoints + 1)
    wanted = max(1, planned - there)
    needed, free = wanted * checkpoint + export, shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"{folder}: {free / GB:.3g} GB are free on its disk, and {wanted} checkpoints of {checkpoint / GB:.3g} GB "
            f"and the export of {export / GB:.3g} GB need {needed / GB:.3g} GB; make room, take a disk that has it by "
            "output_root=<folder>, or keep fewer with trainer.keep_checkpoints"
        )


def least_numbers(numbers: Counts, model: ModelSettings) -> Counts:
    """What a checkpoint holds moments of at least: a vision tower that has seen no picture has none yet."""
    seen = numbers.trained if model.lora is not None else max(0, numbers.trained - numbers.vision)
    return replace(numbers, trained=seen)
