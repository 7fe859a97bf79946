"""Files that appear whole or not at all."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from lmm_r1.atomic_files import naming_refusals, remove_partial, remove_whole, replacing, write_text
from lmm_r1.errors import UserError


def test_a_file_has_its_name_only_when_it_is_complete_and_on_the_disk(tmp_path, monkeypatch):
    path, events = tmp_path / "summary.json", []
    fsync, rename = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (events.append("flushed"), fsync(descriptor)))
    monkeypatch.setattr(os, "replace", lambda old, new: (events.append("named"), rename(old, new)))
    with replacing(path) as partial:
        partial.write_text("half")
        assert not path.exists()
        partial.write_text("whole")
    assert path.read_text() == "whole"
    assert events == ["flushed", "named", "flushed"]


def test_a_write_that_fails_leaves_the_file_that_was_there_and_nothing_else(tmp_path):
    path = tmp_path / "summary.json"
    write_text(path, "before")
    with pytest.raises(OSError, match="full"), replacing(path) as partial:
        partial.write_text("half")
        raise OSError("disk full")
    assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["summary.json"]


def test_a_folder_replaces_a_folder_with_what_it_holds(tmp_path):
    folder = tmp_path / "export"
    for word in ("first", "second"):
        with replacing(folder) as partial:
            partial.mkdir()
            (partial / f"{word}.txt").write_text(word)
    assert [file.name for file in folder.iterdir()] == ["second.txt"]
    assert [file.name for file in tmp_path.iterdir()] == ["export"]


def test_what_a_dead_process_left_is_cleared_away(tmp_path):
    (tmp_path / "a.ckpt.4242.partial").write_text("half")
    (tmp_path / "export.4242.partial").mkdir()
    (tmp_path / "kept.ckpt").write_text("whole")
    remove_partial(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["kept.ckpt"]


def test_a_folder_whose_successor_was_never_named_comes_back(tmp_path, monkeypatch):
    """Dead between the two renames: neither the old folder nor the new one has the name."""
    folder, rename = tmp_path / "export", os.rename
    folder.mkdir()
    (folder / "old.txt").write_text("whole")

    def dying_rename(old, new):
        if Path(new) == folder:
            raise SystemExit
        rename(old, new)

    with monkeypatch.context() as patched, pytest.raises(SystemExit), replacing(folder) as partial:
        partial.mkdir()
        patched.setattr(os, "rename", dying_rename)
    assert not folder.exists()
    remove_partial(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["export"]
    assert (folder / "old.txt").read_text() == "whole"


def test_a_link_is_replaced_in_one_step_and_what_it_meant_stays(tmp_path):
    for word in ("first", "second"):
        (tmp_path / word).mkdir()
        with replacing(tmp_path / "latest") as partial:
            partial.symlink_to(word)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["first", "latest", "second"]
    assert os.readlink(tmp_path / "latest") == "second"


def test_what_is_removed_never_lies_half_under_its_name(tmp_path, monkeypatch):
    folder = tmp_path / "step_000001.ckpt"
    folder.mkdir()
    (folder / "weights").write_text("all")
    monkeypatch.setattr("shutil.rmtree", lambda path: None)
    remove_whole(folder)
    assert not folder.exists() and len(list(tmp_path.iterdir())) == 1
    monkeypatch.undo()
    remove_partial(tmp_path)
    assert list(tmp_path.iterdir()) == []


def torch_save(path):
    with path.open("wb") as file:
        torch.save(torch.zeros(2_000_000), file)


WRITERS = {
    "text": lambda path: path.write_text("x" * 8_000_000),
    "torch": torch_save,
    "safetensors": lambda path: save_file({"weight": torch.zeros(2_000_000)}, path),
    "parquet": lambda path: pq.write_table(pa.table({"x": np.random.default_rng(0).random(1_000_000)}), path),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_full_disk_is_one_line_that_names_the_file_and_leaves_what_was_there(small_disk, kind):
    """Libraries hide the reason behind exceptions of their own."""
    path = small_disk(4) / "summary.json"
    write_text(path, "before")
    with pytest.raises(UserError, match=r"summary.json cannot be written: no space left"), replacing(path) as partial:
        WRITERS[kind](partial)
    assert path.read_text() == "before"
    assert [file.name for file in path.parent.iterdir()] == ["summary.json"]


def test_an_appended_line_that_finds_no_room_names_its_file(small_disk):
    path = small_disk(1) / "metrics.csv"
    with (
        pytest.raises(UserError, match="cannot be written"),
        naming_refusals(path),
        path.open("a") as file,
    ):
        file.write("x" * 2_000_000)


def test_an_error_of_ours_stays_what_it_is(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a") as partial:
        partial.with_name("missing").read_text()
    with pytest.raises(KeyError), naming_refusals(tmp_path):
        raise KeyError("a")
