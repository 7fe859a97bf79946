"""A run that was interrupted and resumed is the run that was not."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pandas as pd
import pytest
import safetensors.torch

from tests.reporting import wandb_log
from tests.running import run, run_afresh, start
from tests.training.running import SMALL, assert_equal, checkpoint, metrics, train

pytestmark = pytest.mark.slow

STEPS = 4
RUN = ("stage=fre", *SMALL, f"trainer.steps={STEPS}", "algorithm.schedule=cosine", "algorithm.mini_batches=2")
KILLED_RUN = str(Path(__file__).with_name("killed_run.py"))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("uninterrupted")
    run_afresh("train.py", *RUN, f"output_root={root}")
    return (root / "fre" / "latest").resolve()


def assert_same_run(first: Path, second: Path) -> None:
    """Weights, optimiser, schedule, random state, rollouts and metrics, bit for bit."""
    assert_equal(checkpoint(first, STEPS), checkpoint(second, STEPS))
    assert metrics(first) == metrics(second)
    for kind in ("rollouts", "validation"):
        names = sorted(path.name for path in (first / kind).glob("*.parquet"))
        assert names == sorted(path.name for path in (second / kind).glob("*.parquet"))
        for name in names:
            pd.testing.assert_frame_equal(pd.read_parquet(first / kind / name), pd.read_parquet(second / kind / name))


def test_a_run_killed_three_times_ends_like_one_that_was_not(uninterrupted, tmp_path):
    killed = -signal.SIGKILL
    run(KILLED_RUN, "generation", "1", *RUN, f"output_root={tmp_path}", expect=killed)
    folder = (tmp_path / "fre" / "latest").resolve()
    run(KILLED_RUN, "update", "2", f"resume={folder}", f"output_root={tmp_path}", expect=killed)
    run(KILLED_RUN, "checkpoint", "4", "stage=fre", "resume=latest", f"output_root={tmp_path}", expect=killed)
    saved = folder / "checkpoints"
    *whole, half = sorted(path.name for path in saved.iterdir())
    assert whole == ["step_000002.ckpt", "step_000003.ckpt"] and half.endswith(".partial")
    # Then the disk spoils the newest: the run goes on from the one before, to the same end.
    largest = max((saved / "step_000003.ckpt").glob("*.distcp"), key=lambda path: path.stat().st_size)
    os.truncate(largest, largest.stat().st_size - 50_000)
    output = train("stage=fre", "resume=latest", f"output_root={tmp_path}")
    assert "step_000003.ckpt is damaged" in output and "goes on from step_000002.ckpt" in output
    assert sorted(path.name for path in saved.iterdir()) == [
        "step_000003.ckpt",
        "step_000003.ckpt.damaged",
        "step_000004.ckpt",
    ]
    assert_same_run(uninterrupted, folder)


def test_a_signal_saves_and_the_run_goes_on_with_critic_and_resampling_where_it_stopped(tmp_path):
    run = ("stage=fre", *SMALL, "algorithm=ppo", "algorithm.resampling_rounds=2", "rollout=transformers")
    # No step of it is a multiple of this; the last is saved all the same.
    train(*run, f"output_root={tmp_path / 'whole'}", "trainer.checkpoint_every=5")
    started = start("train.py", *run, "logger=wandb", f"output_root={tmp_path}", "trainer.checkpoint_every=2")
    folder = tmp_path / "fre" / "latest"
    while started.process.is_alive() and not (folder / "rollouts" / "step-000000-rank-0000.parquet").exists():
        time.sleep(0.05)
    started.process.terminate()
    code, output = started.wait()
    assert code == 128 + signal.SIGTERM, output[-3000:]
    assert "resume=" in output
    log = (folder / "train.log").read_text()
    assert "stopped after step 1" in log and log.endswith("ended with exit code 143\n")
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["step_000001.ckpt"]
    assert not (folder / "summary.json").exists()
    train("stage=fre", "resume=latest", f"output_root={tmp_path}")
    assert (folder / "summary.json").exists()
    whole = tmp_path / "whole" / "fre" / "latest"
    assert metrics(whole) == metrics(folder)
    first, second = checkpoint(whole, 2), checkpoint(folder, 2)
    (uploaded,) = folder.glob("wandb/offline-run-*/*.wandb")
    assert [row["_step"] for row in wandb_log.rows(uploaded)] == [0, 1, 2]
    assert any(name.startswith("weights.critic.") for name in first)
    assert_equal(first, second)
    # The export is the policy's alone, under the names that transformers knows.
    exported = safetensors.torch.load_file(whole / "export" / "model.safetensors")
    assert not any("critic" in name or name.startswith(("head", "policy")) for name in exported)
    # A run with all its steps done makes what it lacks, and trains nothing.
    shutil.rmtree(whole / "export")
    (whole / "report.html").unlink()
    summary, rows = (whole / "summary.json").read_text(), (whole / "metrics.csv").read_text()
    train(f"resume={whole}", f"output_root={tmp_path}")
    assert_equal(exported, safetensors.torch.load_file(whole / "export" / "model.safetensors"))
    assert (whole / "report.html").is_file()
    assert ((whole / "summary.json").read_text(), (whole / "metrics.csv").read_text()) == (summary, rows)
