"""What is kept on disk is found again under its key, and nothing else is."""

from __future__ import annotations

import json
import threading

import pytest

from lmm_r1.disk_cache import DiskCache

KEY, OTHER = "a" * 64, "a" * 63 + "b"


def fails():
    raise AssertionError("made anew")


def test_a_result_is_made_once_for_its_key(tmp_path):
    cache = DiskCache(tmp_path / "run", tmp_path / "shared")
    assert cache.result("golds", KEY, lambda: {"1": "wrong"}) == {"1": "wrong"}
    assert cache.result("golds", KEY, fails) == {"1": "wrong"}
    # Another run finds it, and has it in its own folder from then on.
    assert DiskCache(tmp_path / "second", tmp_path / "shared").result("golds", KEY, fails) == {"1": "wrong"}
    assert DiskCache(tmp_path / "second").result("golds", KEY, fails) == {"1": "wrong"}


def test_another_key_is_another_result_although_the_file_has_the_same_name(tmp_path):
    cache = DiskCache(tmp_path)
    cache.result("golds", KEY, lambda: [1])
    assert cache.result("golds", OTHER, lambda: [2]) == [2]


@pytest.mark.parametrize("damage", [b"", b'{"key": "', b"\xff\xfe", b"[]", b"{}"])
def test_a_damaged_file_counts_as_none_and_is_mended(tmp_path, damage):
    cache = DiskCache(tmp_path)
    cache.result("golds", KEY, lambda: [1])
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage)
    assert cache.result("golds", KEY, lambda: [2]) == [2]
    assert json.loads(file.read_text())["value"] == [2]
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_a_shared_folder_that_cannot_be_made_is_no_error_and_the_runs_own_is_one(tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert DiskCache(tmp_path / "run", tmp_path / "file" / "cache").result("golds", KEY, lambda: [1]) == [1]
    with pytest.raises(OSError, match="file"):
        DiskCache(tmp_path / "file" / "cache").result("golds", KEY, lambda: [1])


def test_a_process_that_does_not_make_it_waits_for_the_one_that_does(tmp_path):
    found = []
    waiting = threading.Thread(
        target=lambda: found.append(DiskCache(tmp_path).result("golds", KEY, fails, makes=False)), daemon=True
    )
    waiting.start()
    DiskCache(tmp_path).result("golds", KEY, lambda: [1])
    waiting.join(timeout=60)
    assert found == [[1]]
