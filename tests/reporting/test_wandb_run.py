"""What W&B is sent is one run, whatever happened to ours; and what happens to W&B does not happen to our run."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reporting.wandb_log import rows

pytestmark = pytest.mark.slow

PART = str(Path(__file__).with_name("wandb_part.py"))


def part(folder: Path, first_step: int, steps: int, end: str, repository: Path, **variables: str):
    """Be a part of the run in `folder`, without a home that could be written."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
    environment |= {"PYTHONPATH": f"{repository / 'src'}:{repository}", "HOME": "/dev/null", **variables}
    command = [sys.executable, PART, str(folder), str(first_step), str(steps), end]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


def files(folder: Path) -> list[Path]:
    return list(folder.glob("offline-run-*/*.wandb"))


def test_a_run_that_was_killed_and_resumed_is_whole_in_the_files_that_are_uploaded(tmp_path, repository):
    killed = part(tmp_path, 0, 5, "die", repository)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    with (tmp_path / "metrics.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["step", "reward/mean", "validation/accuracy"])
        table.writerows([step, repr(step / 3), "0.5" if step % 2 == 0 else ""] for step in range(5))
    # The checkpoint was written after step 2, so steps 3 and 4 are done again.
    resumed = part(tmp_path, 3, 8, "close", repository)
    assert resumed.returncode == 0, resumed.stderr[-2000:]

    (whole,) = files(tmp_path / "wandb")
    history = rows(whole)
    assert [(row["_step"], row["step"], row["reward/mean"]) for row in history] == [
        (step, step, step / 3) for step in range(8)
    ]
    assert [row["step"] for row in history if row.get("samples/_type") == "table-file"] == [0, 2, 4, 6]
    assert len(files(tmp_path / "wandb" / "replaced")) == 1
    sync = [sys.executable, "-m", "wandb", "sync", "--dry-run", str(tmp_path / "wandb")]
    listed = subprocess.run(sync, capture_output=True, text=True, timeout=300)
    assert "Would sync 1 run(s)" in listed.stdout + listed.stderr


def test_w_and_b_s_service_may_die(tmp_path, repository):
    ended = part(tmp_path, 0, 4, "orphan", repository)
    assert ended.returncode == 0, ended.stderr[-2000:]
    lines = [line for line in ended.stdout.splitlines() if "wandb" not in line]
    assert len(lines) == 2 and lines[0].startswith("W&B failed and is left alone from here on (")
    assert lines[1] == "the run went on to its end"
    assert "Traceback" not in ended.stderr


def test_w_and_b_may_not_even_start(tmp_path, repository):
    ended = part(tmp_path, 0, 4, "close", repository, WANDB_SERVICE="3-1-tcp-localhost-9")
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert ended.stdout.count("W&B failed and is left alone") == 1
    assert "the run went on to its end" in ended.stdout and "Traceback" not in ended.stderr
