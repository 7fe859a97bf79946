from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from lmm_r1.cli.multirun import run_jobs
from tests.running import HANG_SECONDS

SCRIPT = """
import os, sys
with open("log", "a") as log:
    log.write(f"{os.getpid()} {' '.join(sys.argv[1:])}\\n")
sys.exit(3 if "fail=yes" in sys.argv else 0)
"""
SLOW_SCRIPT = """
import pathlib, signal, sys, time
def stop(number, frame):
    pathlib.Path("saved").touch()
    sys.exit(128 + number)
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
pathlib.Path("started").touch()
time.sleep(600)
"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return path


def test_jobs_run_in_order_each_in_a_process_of_its_own(script, tmp_path):
    assert run_jobs(script, [["stage=fre"], ["stage=mgt", "seed=1"]]) == 0
    lines = [line.split(" ", 1) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line[1] for line in lines] == ["stage=fre", "stage=mgt seed=1"]
    assert lines[0][0] != lines[1][0]


def test_the_first_failure_ends_the_rest_with_its_exit_code(script, tmp_path):
    assert run_jobs(script, [["a=1"], ["fail=yes"], ["b=1"]]) == 3
    assert "b=1" not in (tmp_path / "log").read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_job_save_and_its_exit_code_stands(script, tmp_path, repository, number):
    script.write_text(SLOW_SCRIPT)
    code = (
        f"import sys; from pathlib import Path; from lmm_r1.cli.multirun import run_jobs; "
        f"sys.exit(run_jobs(Path({str(script)!r}), [['a=1'], ['b=1']]))"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(repository / "src")}, process_group=0
    )
    deadline = time.monotonic() + HANG_SECONDS
    while not (tmp_path / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    if number == signal.SIGINT:
        # As a terminal does: to the whole foreground group.
        import os

        os.killpg(parent.pid, number)
    else:
        parent.send_signal(number)
    assert parent.wait(timeout=HANG_SECONDS) == 128 + number
    assert (tmp_path / "saved").exists()
