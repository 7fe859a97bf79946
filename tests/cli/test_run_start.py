"""`latest` means a run that has begun, and a start that fails leaves its log."""

from __future__ import annotations

import pytest

from lmm_r1.cli.run_folder import link_latest, write_config
from lmm_r1.cli.run_start import starting
from lmm_r1.errors import UserError


@pytest.fixture
def earlier(tmp_path):
    """The folder of a run that `latest` means."""
    folder = tmp_path / "earlier"
    folder.mkdir()
    write_config(folder, {"seed": 0}, "python train.py")
    link_latest(folder)
    return folder


def make(folder):
    """What a run has made when its first row is about to be written."""
    write_config(folder, {"seed": 1}, "python train.py")
    (folder / "metrics.csv").write_text("step\n")
    (folder / "validation" / "images").mkdir(parents=True)
    (folder / "audit.jsonl").write_text("{}\n")


def latest(folder):
    return (folder.parent / "latest").resolve()


def test_latest_moves_when_the_run_has_begun_and_not_before(earlier, tmp_path):
    folder = tmp_path / "now"
    folder.mkdir()
    with starting(folder, resumed=False) as begun:
        make(folder)
        assert latest(folder) == earlier
        begun()
        assert latest(folder) == folder


@pytest.mark.parametrize("fault", [UserError("no"), RuntimeError("no"), KeyboardInterrupt()], ids=repr)
def test_of_a_start_that_fails_the_log_is_kept(earlier, tmp_path, fault, caplog):
    folder = tmp_path / "now"
    folder.mkdir()
    (folder / "train.log").write_text("python train.py\n")
    with pytest.raises(type(fault)), starting(folder, resumed=False):
        make(folder)
        raise fault
    assert sorted(path.name for path in folder.iterdir()) == ["audit.jsonl", "train.log"]
    assert latest(folder) == earlier
    assert "now keeps its log and what it lists of the data" in caplog.text


def test_what_was_in_the_folder_before_is_not_touched(tmp_path):
    (tmp_path / "rollouts").mkdir()
    (tmp_path / "metrics.csv").write_text("mine\n")
    with pytest.raises(RuntimeError), starting(tmp_path, resumed=False):
        make(tmp_path)
        raise RuntimeError
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audit.jsonl", "metrics.csv", "rollouts"]


@pytest.mark.parametrize("resumed", [False, True])
def test_a_run_that_had_begun_keeps_everything(tmp_path, resumed):
    folder = tmp_path / "now"
    folder.mkdir()
    if resumed:
        write_config(folder, {"seed": 1}, "python train.py")
    with pytest.raises(RuntimeError), starting(folder, resumed=resumed) as begun:
        make(folder)
        begun()
        raise RuntimeError
    assert len(list(folder.iterdir())) == 4


def test_a_run_that_cannot_be_resumed_is_as_it_was(earlier):
    before = (earlier / "config.yaml").read_text()
    with pytest.raises(UserError), starting(earlier, resumed=True):
        write_config(earlier, {"seed": 0, "steps": 80}, "python train.py resume=latest trainer.steps=80")
        raise UserError("the training data is not what the run was made with so far")
    assert (earlier / "config.yaml").read_text() == before


def test_a_new_run_does_not_go_into_another_ones_folder(earlier):
    message = "holds a run already; go on with it by resume="
    with pytest.raises(UserError, match=message), starting(earlier, resumed=False):
        pass
    assert (earlier / "config.yaml").exists()


def test_a_folder_called_latest_is_left_alone(tmp_path, caplog):
    (tmp_path / "latest").mkdir()
    (tmp_path / "now").mkdir()
    link_latest(tmp_path / "now")
    assert not (tmp_path / "latest").is_symlink()
    assert "a folder, not a link" in caplog.text
