"""What ends a run stands in its log."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from hydra.errors import InstantiationException

from lmm_r1.cli.endings import append_line, ending_in_log
from lmm_r1.errors import UserError


def ended(path, error, process=0):
    with pytest.raises(type(error)), ending_in_log(path, process):
        raise error
    return path.read_text()


def test_a_line_for_the_user_stands_in_the_log_without_a_traceback(tmp_path):
    wrapped = InstantiationException("Error in call to target 'lmm_r1…'")
    wrapped.__cause__ = UserError("dataset.path=b: no such file")
    ended(tmp_path / "train.log", UserError("dataset.path=a:\n no such file"))
    text = ended(tmp_path / "train.log", wrapped)
    assert [line.partition("[ERROR] - ")[2] for line in text.splitlines()] == [
        "error: dataset.path=a: no such file",
        "error: dataset.path=b: no such file",
    ]


def test_a_fault_stands_in_the_log_with_its_traceback(tmp_path):
    text = ended(tmp_path / "train.log", ZeroDivisionError("by nothing"))
    assert "Traceback" in text and text.endswith("ZeroDivisionError: by nothing\n")


def test_every_process_writes_into_the_log_of_the_first(tmp_path):
    text = ended(tmp_path / "train.log", ZeroDivisionError("there"), process=1)
    assert "process 1: ZeroDivisionError" in text and text.endswith("ZeroDivisionError: there\n")


def test_a_mistake_that_another_process_meets_is_the_one_that_is_told(tmp_path):
    path = tmp_path / "train.log"
    ended(path, UserError("of an earlier part of the run"), process=1)
    with pytest.raises(UserError, match="row 7: no picture"), ending_in_log(path, 0):
        ended(path, UserError("row 7: no picture"), process=1)
        raise RuntimeError("connection closed by peer")
    assert "peer" not in path.read_text()


def test_a_crash_leaves_its_stack_in_the_log(tmp_path, repository):
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom lmm_r1.cli.endings import ending_in_log\n"
        "with ending_in_log(Path(sys.argv[1]), 0):\n    os.abort()\n"
    )
    environment = os.environ | {"PYTHONPATH": str(repository / "src")}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "train.log")], env=environment, check=False)
    assert "Fatal Python error: Aborted" in (tmp_path / "train.log").read_text()


def test_a_run_that_is_terminated_while_it_starts_says_so(tmp_path):
    with pytest.raises(SystemExit, match="143"), ending_in_log(tmp_path / "train.log", 0):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    assert (tmp_path / "train.log").read_text().endswith("ended with exit code 143\n")
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_line_that_nobody_needs_to_see_stands_in_the_log(tmp_path, capsys):
    line = "python train.py stage=fre dataset.path='100%s'"
    append_line(tmp_path / "train.log", line)
    assert (tmp_path / "train.log").read_text().endswith(f"[lmm_r1][INFO] - {line}\n")
    assert capsys.readouterr() == ("", "")
