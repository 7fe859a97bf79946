"""Two runs never write into one folder."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lmm_r1.cli.run_lock import claimed
from lmm_r1.errors import UserError

HOLD = """
import os, sys
from pathlib import Path
from lmm_r1.cli.run_lock import claimed
folder, process, forks = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "forks"
with claimed(folder, process):
    if forks and os.fork() == 0:
        print("child", os.getpid(), flush=True)
        sys.stdin.read()
        os._exit(0)
    print("held", os.getpid(), flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold(repository):
    """Start a process that claims a folder; ended with the test."""
    started = []

    def start(folder: Path, process: int = 0, forks: bool = False) -> subprocess.Popen:
        command = [sys.executable, "-c", HOLD, str(folder), str(process), "forks" if forks else ""]
        environment = os.environ | {"PYTHONPATH": str(repository / "src")}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        started.append(subprocess.Popen(command, env=environment, text=True, **pipes))
        for _ in range(1 + forks):
            assert started[-1].stdout.readline()
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_the_second_run_of_a_folder_is_told_who_is_there(hold, tmp_path):
    first = hold(tmp_path)
    named = f"process {first.pid} on {socket.gethostname()}, since .* is at work there"
    with pytest.raises(UserError, match=named), claimed(tmp_path, 0):
        pass
    first.communicate()
    with claimed(tmp_path, 0):
        pass


def test_a_folder_is_free_when_the_run_was_killed_even_if_its_children_live(hold, tmp_path):
    first = hold(tmp_path, forks=True)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    with claimed(tmp_path, 0):
        pass


def test_a_folder_is_not_free_while_another_process_of_a_killed_run_may_write(hold, tmp_path):
    first, second = hold(tmp_path), hold(tmp_path, process=1)
    first.kill()
    first.wait()
    with pytest.raises(UserError, match="is at work there"), claimed(tmp_path, 0):
        pass
    second.communicate()
    with claimed(tmp_path, 0):
        pass
