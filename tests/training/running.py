"""Small runs of `train.py`, and how what they leave is read and compared."""

from __future__ import annotations

import csv
from pathlib import Path

import torch

from tests.running import run

SMALL = (
    "debug=tiny",
    "dataset.validation_size=2",
    "algorithm.learning_rate=0.001",
    "trainer.threads=1",
)
"""Enough for two real steps; the learning rate makes every step leave a mark."""


def train(*overrides: str) -> str:
    return run("train.py", *overrides)


def metrics(folder: Path) -> list[dict[str, str]]:
    """The rows of `metrics.csv` without what a clock says and what the verifier still knew of earlier steps."""
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: value for name, value in row.items() if not _clock(name)} for row in rows]


def _clock(name: str) -> bool:
    return name.startswith(("time/", "machine/", "verifier/")) or name.endswith("tokens_per_second")


def checkpoint(folder: Path, step: int) -> dict:
    return torch.load(folder / "checkpoints" / f"step_{step:06d}.ckpt", weights_only=False)


def assert_equal(first, second, where: str = "") -> None:
    """Bit for bit, through dicts, lists and tensors; seconds aside."""
    assert type(first) is type(second), where
    if isinstance(first, dict):
        assert first.keys() == second.keys(), where
        for key in first:
            if key != "seconds":
                assert_equal(first[key], second[key], f"{where}/{key}")
    elif isinstance(first, list | tuple):
        assert len(first) == len(second), where
        for index, (left, right) in enumerate(zip(first, second, strict=True)):
            assert_equal(left, right, f"{where}/{index}")
    elif isinstance(first, torch.Tensor):
        assert torch.equal(first, second), f"{where}: {(first - second).abs().max()}"
    elif hasattr(first, "tobytes"):
        assert first.tobytes() == second.tobytes(), where
    else:
        assert first == second, where
