"""Real runs in processes of their own, as a user starts them: vLLM allows one engine a process."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import torch

REPOSITORY = Path(__file__).resolve().parent.parent.parent
SMALL = (
    "debug=tiny",
    "dataset.validation_size=2",
    "algorithm.learning_rate=0.001",
    "trainer.threads=1",
)
"""Enough for two real steps; the learning rate makes every step leave a mark."""


def run(*command: str, expect: int = 0) -> subprocess.CompletedProcess:
    """Run a Python script of the repository and check its exit code."""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src"), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    result = subprocess.run(
        [sys.executable, *command], cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=600
    )
    assert result.returncode == expect, f"{command}\n{result.stdout[-3000:]}\n{result.stderr[-6000:]}"
    return result


def train(*overrides: str, expect: int = 0) -> subprocess.CompletedProcess:
    return run("train.py", *overrides, expect=expect)


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
