"""What a training step leaves of its rollout, when, and what a replay makes of it."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
from PIL import Image

from lmm_r1.errors import UserError
from lmm_r1.models.prompts import render_prompt
from lmm_r1.rewards.accuracy import AnswerAccuracy
from lmm_r1.rewards.compose import RewardSum
from lmm_r1.rollout.replay_engine import ReplayEngine
from lmm_r1.rollout.store import RolloutStore
from lmm_r1.training.batch import PromptSchedule, RolloutBatch, StepLoader
from lmm_r1.training.collate import collate
from lmm_r1.training.phases import Phases
from lmm_r1.training.rollout_callback import RolloutCallback
from lmm_r1.training.sampler import PolicySampler
from lmm_r1.types import Group, Sampling
from tests.training.updating import module_of, settings, trainer_of

STEPS = 2


class HeldStore(RolloutStore):
    """Writes when the update is over, and not before: whoever waited for it to be written would wait for ever."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.updated = threading.Event()

    def write(self, groups, step, rank):
        assert self.updated.wait(60)
        return super().write(groups, step, rank)


class EndOfUpdate(L.Callback):
    """Before the rollouts' own callback."""

    def __init__(self, store: HeldStore) -> None:
        self.store = store

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        self.store.updated.clear()

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        self.store.updated.set()


class Watcher(L.Callback):
    """What the callbacks behind the rollouts find: the steps on the disk, and the patches that were trained on."""

    def __init__(self, store: RolloutStore) -> None:
        self.store = store
        self.stored: list[list[int]] = []
        self.patches: list[torch.Tensor] = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch: RolloutBatch, batch_idx: int) -> None:
        self.stored.append(self.store.steps())
        self.patches += batch.experience.pixel_values


@pytest.fixture(scope="module")
def groups(make_groups, processor) -> list[Group]:
    """With a photograph larger than a preview."""
    (group,) = make_groups(1, 3, renderings=("vision_only",))
    pixels = np.random.default_rng(0).integers(0, 256, (500, 700, 3), dtype=np.uint8)
    problem = replace(group.problem, images=(Image.fromarray(pixels),))
    prompt = processor(text=[render_prompt(processor, problem, None)], images=list(problem.images))
    return [replace(group, problem=problem, prompt_ids=tuple(prompt["input_ids"][0]))]


@pytest.fixture(scope="module")
def reward():
    reward = RewardSum(AnswerAccuracy(workers=1), {"accuracy": 1.0}, {})
    yield reward
    reward.close()


def train(replayed: Path, groups: list[Group], folder: Path, random_model, processor, banned, reward) -> Watcher:
    """Train on a run's stored rollouts; the new run's rollouts lie in `folder`."""
    store = HeldStore(folder / "rollouts")
    algorithm = settings()
    sampler = PolicySampler(lambda: ReplayEngine(replayed), reward, Phases())
    rollouts = RolloutCallback(sampler, algorithm, processor, Sampling(3, 1.0, 16), store, seed=0)
    schedule = PromptSchedule(
        size=len(groups), prompts_per_step=1, steps=STEPS, first_step=0, seed=0, rank=0, world_size=1
    )
    watcher = Watcher(store)
    loader = StepLoader([group.problem for group in groups], schedule, RolloutBatch)
    trainer_of(EndOfUpdate(store), rollouts, watcher).fit(module_of(random_model, algorithm, banned), loader)
    return watcher


def test_a_replay_trains_on_the_pixels_of_the_run_and_a_step_is_stored_beside_its_update(
    tmp_path, groups, random_model, processor, banned, reward
) -> None:
    for step in range(STEPS):
        RolloutStore(tmp_path / "run" / "rollouts").write(groups, step, 0)
    seen = collate(groups, torch.zeros(1, 3), processor).pixel_values[0]
    for folder in ("once", "again"):  # the second replays what the first has stored
        replayed = tmp_path / ("run" if folder == "once" else "once")
        watcher = train(replayed, groups, tmp_path / folder, random_model, processor, banned, reward)
        assert watcher.stored == [list(range(step + 1)) for step in range(STEPS)]
        assert all(torch.equal(patches, seen) for patches in watcher.patches)
    small = RolloutStore(tmp_path / "again" / "rollouts").read_step(0)[0].problem.images[0]
    assert small.size < groups[0].problem.images[0].size


def test_a_disk_that_fills_up_ends_the_step_in_one_line(
    tmp_path, small_disk, groups, random_model, processor, banned, reward
) -> None:
    for step in range(STEPS):
        RolloutStore(tmp_path / "run" / "rollouts").write(groups, step, 0)
    disk = small_disk(1)
    (disk / "filler").write_bytes(bytes(1_000_000))
    with pytest.raises(UserError, match=r"images/\w+\.jpeg cannot be written: no space left"):
        train(tmp_path / "run", groups, disk, random_model, processor, banned, reward)
    assert [path for path in disk.rglob("*") if path.is_file()] == [disk / "filler"]
