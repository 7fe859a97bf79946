"""The process that trains: its random numbers, its arithmetic, and Lightning's trainer in it."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.plugins.environments import LightningEnvironment

from lmm_r1.training.precision import RoundingNotice, lightning_precision
from lmm_r1.training.replicas import Replicas
from lmm_r1.training.settings import TrainerSettings


def prepare_process(settings: TrainerSettings, seed: int) -> None:
    """Before the model is loaded: seeds, and arithmetic on a CPU."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    # Of a run whose steps are all done, which has its export or report yet to make.
    warnings.filterwarnings("ignore", message=r"Total length of .* across ranks is zero")
    L.seed_everything(seed, verbose=False)
    if settings.accelerator == "cpu":
        # Numbers too small for a normal float slow a CPU's arithmetic by an order of magnitude.
        torch.set_flush_denormal(True)
        if settings.threads is not None:
            torch.set_num_threads(settings.threads)


def lightning_trainer(settings: TrainerSettings, folder: Path, callbacks: list[L.Callback]) -> L.Trainer:
    """A trainer that does what the settings say and nothing of its own accord."""
    return L.Trainer(
        accelerator=settings.accelerator,
        devices=settings.devices,
        # A run starts its own processes, also inside a scheduler's job, which Lightning would take for the launcher.
        plugins=[LightningEnvironment()],
        strategy=Replicas() if settings.devices > 1 else "auto",
        precision=lightning_precision(settings.precision),
        max_epochs=1,
        callbacks=[*callbacks, RoundingNotice()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=folder,
    )
