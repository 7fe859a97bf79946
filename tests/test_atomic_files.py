"""Files that appear whole or not at all."""

import os

import pytest

from lmm_r1.atomic_files import remove_partial, replacing, write_text


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
