"""A place that cannot be written is noticed before the start, and one that refuses later ends in one line."""

from __future__ import annotations

import errno
import os
import subprocess

import pytest

from lmm_r1.cli.eval_command import EvalCommand
from lmm_r1.cli.places import check_writable, saying_what_is_saved
from lmm_r1.cli.train_command import TrainCommand
from lmm_r1.errors import UnwritableError, UserError


@pytest.fixture
def read_only(tmp_path):
    """A folder that nobody can write, root included."""
    folder = tmp_path / "read_only"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", folder], capture_output=True).returncode:
        folder.chmod(0o500)
        if os.access(folder, os.W_OK):
            pytest.skip("neither a mount nor a mode keeps this user from writing")
        yield folder
        folder.chmod(0o700)
    else:
        yield folder
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("command", [TrainCommand(), EvalCommand()], ids=["train", "eval"])
def test_a_root_that_cannot_be_written_is_refused_by_name(read_only, command):
    for root in (read_only, read_only / "new" / "deeper"):
        with pytest.raises(UserError, match=f"^output_root={root}: {read_only} cannot be written"):
            command.check([[f"output_root={root}"]])


def test_a_run_s_own_folder_that_cannot_be_written_is_refused_by_name(read_only):
    with pytest.raises(UserError, match=f"^hydra.run.dir={read_only}/run: .* cannot be written"):
        TrainCommand().check([[f"hydra.run.dir={read_only}/run"]])


def test_a_file_or_a_link_to_nowhere_in_place_of_a_folder_is_refused_by_name(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("file", "link"):
        with pytest.raises(UserError, match=f"^output_root=x: {tmp_path}/{name} is not a folder"):
            check_writable(tmp_path / name / "fre", "output_root=x")


def test_trying_leaves_nothing(tmp_path):
    check_writable(tmp_path / "outputs" / "fre", "output_root=outputs")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_ends_in_one_line_that_says_what_is_saved(tmp_path):
    refused = RuntimeError("writing failed")
    refused.__cause__ = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    named = rf"{tmp_path} cannot be written: no space left on device; 10 steps are saved"
    with pytest.raises(UnwritableError, match=named), saying_what_is_saved(tmp_path, lambda: "10 steps are saved"):
        raise refused
    with pytest.raises(ZeroDivisionError), saying_what_is_saved(tmp_path, lambda: "10 steps are saved"):
        raise ZeroDivisionError
