"""Small runs of `train.py`, and how what they leave is read and compared."""

from __future__ import annotations

import csv
from pathlib import Path

import torch
import torch.distributed.checkpoint as dcp

from lmm_r1.training.checkpoint_folder import checkpoint_path
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
    """All that a checkpoint of a run holds, by the names of `lmm_r1.training.checkpoint_state`."""
    return contents(checkpoint_path(folder / "checkpoints", step))


def weights(folder: Path, step: int) -> dict[str, torch.Tensor]:
    """The tensors of the model in a checkpoint of a run, by their names in the module."""
    saved = checkpoint(folder, step)
    return {name.removeprefix("weights."): saved[name] for name in saved if name.startswith("weights.")}


def contents(path: Path) -> dict:
    """All that a checkpoint holds."""
    reader = dcp.FileSystemReader(path)
    stored = reader.read_metadata().state_dict_metadata.items()
    state = {
        name: torch.empty(entry.size, dtype=entry.properties.dtype) if hasattr(entry, "size") else None
        for name, entry in stored
    }
    planner = dcp.DefaultLoadPlanner(flatten_state_dict=False, flatten_sharded_tensors=False)
    dcp.load(state, storage_reader=reader, planner=planner, no_dist=True)
    return state


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
