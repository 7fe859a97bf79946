"""What is handed over is stored while others work, and a failure is heard of."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lmm_r1.errors import UserError
from lmm_r1.rollout.background_writer import BackgroundWriter
from lmm_r1.rollout.store import RolloutStore
from lmm_r1.types import Completion, Group, Problem


def a_group(name: str, *images: Image.Image) -> Group:
    return Group(
        Problem(name, "<image>" * len(images), "7", images=images), (1, 2), [Completion((3,), (0.5,), "t", "stop", 0)]
    )


class HeldStore(RolloutStore):
    """Writes when it is let."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.let = threading.Event()

    def write(self, groups, step, rank):
        assert self.let.wait(60)
        return super().write(groups, step, rank)


def test_the_caller_goes_on_while_a_step_is_stored_and_finds_it_stored_afterwards(tmp_path: Path) -> None:
    store = HeldStore(tmp_path)
    writer = BackgroundWriter(store)
    writer.write([a_group("first")], 0, 0)
    assert store.steps() == []
    store.let.set()
    writer.finish()
    assert store.read_step(0) == [a_group("first")]
    writer.finish()


def test_a_step_is_stored_before_the_next_is_begun(tmp_path: Path) -> None:
    store = RolloutStore(tmp_path)
    writer = BackgroundWriter(store)
    for step in range(5):
        writer.write([a_group(f"{step}")], step, 0)
        assert store.steps()[:step] == list(range(step))
    writer.finish()
    assert store.steps() == list(range(5))


@pytest.mark.parametrize("end", ["finish", "write"])
def test_a_disk_that_fills_up_is_heard_of_once_and_leaves_nothing_half(tmp_path: Path, small_disk, end: str) -> None:
    store = RolloutStore(small_disk(1) / "rollouts")
    writer = BackgroundWriter(store)
    writer.write([a_group("before")], 0, 0)
    noise = np.random.default_rng(0).integers(0, 256, (12, 512, 512, 3), dtype=np.uint8)
    writer.write([a_group("much", *map(Image.fromarray, noise))], 1, 0)
    with pytest.raises(UserError, match="cannot be written: no space left"):
        writer.finish() if end == "finish" else writer.write([a_group("after")], 2, 0)
    writer.finish()
    assert store.steps() == [0] and store.read_step(0) == [a_group("before")]
    assert list(store.folder.rglob("*.partial")) == []
