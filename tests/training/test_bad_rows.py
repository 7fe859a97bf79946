"""Laws of rows that prove bad when they are read: who takes their places, who counts them, and where it ends."""

from __future__ import annotations

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace

import pytest

from lmm_r1.errors import BadRowError, UserError
from lmm_r1.evaluation.bad_rows import BadRowsFile
from lmm_r1.training import bad_rows, distributed
from lmm_r1.training.bad_rows import BadRows, completed
from lmm_r1.training.batch import PromptSchedule, RolloutBatch, StepLoader
from lmm_r1.training.distributed import AgreedError, agreed

SIZE, PROMPTS, STEP = 24, 4, 1


class Numbers:
    """Its places; some cannot be read."""

    def __init__(self, bad: set[int], size: int = SIZE) -> None:
        self.bad, self.size = bad, size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, place: int) -> int:
        if place in self.bad:
            raise BadRowError("torn", f"number {place} is torn")
        return place

    def location(self, place: int) -> tuple[str, int]:
        return "numbers.jsonl", place + 1


def schedule(rank: int = 0, world: int = 1, size: int = SIZE) -> PromptSchedule:
    return PromptSchedule(
        size=size, prompts_per_step=PROMPTS, steps=3, first_step=0, seed=0, rank=rank, world_size=world
    )


def complete(data: Numbers, rank: int = 0, world: int = 1):
    """What a process has after the step's batch was completed: its entries, all rows, and what was bad."""
    order = schedule(rank, world, data.size)
    entries = list(StepLoader(data, order, list))[STEP]
    trainer = SimpleNamespace(global_rank=rank, world_size=world)
    return entries, *completed(trainer, order, data, STEP, entries)


@pytest.fixture
def in_memory(monkeypatch):
    """A meeting place for two processes, each in a thread."""
    values, barrier = [None, None], Barrier(2, timeout=60)

    def gather(trainer, value):
        if trainer.world_size == 1:
            return [value]
        values[trainer.global_rank] = pickle.dumps(value)
        barrier.wait()
        gathered = [pickle.loads(each) for each in values]
        barrier.wait()
        return gathered

    for module in (bad_rows, distributed):
        monkeypatch.setattr(module, "gather_objects", gather)


def by_two(act):
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(act, range(2)))


def test_a_batch_without_bad_rows_is_left_alone():
    entries, rows, bad = complete(Numbers(set()))
    assert entries == rows == schedule().asked(STEP) and bad == {}


def test_the_next_spare_rows_take_the_places_of_bad_ones():
    asked, spare = schedule().asked(STEP), schedule().spare(STEP)
    # The first in line is bad too.
    entries, rows, bad = complete(Numbers({asked[1], asked[3], spare[0]}))
    assert entries == rows == [asked[0], spare[2], asked[2], spare[1]]
    assert set(bad) == {asked[1], asked[3], spare[0]}
    assert str(bad[asked[1]]) == f"number {asked[1]} is torn"


@pytest.mark.parametrize("seed", range(4))
def test_two_processes_complete_the_batch_of_one(in_memory, seed):
    asked, spare = schedule().asked(STEP), schedule().spare(STEP)
    torn = {asked[seed], asked[(seed + 1) % PROMPTS], *spare[seed : seed + 2]}
    entries, rows, bad = complete(Numbers(torn))
    first, second = by_two(lambda rank: complete(Numbers(torn), rank, 2))
    assert [entry for pair in zip(first[0], second[0], strict=True) for entry in pair] == entries
    for _, its_rows, its_bad in (first, second):
        assert its_rows == rows and list(its_bad) == list(bad)


def test_where_no_spare_row_is_left_good_ones_are_asked_again():
    asked = schedule(size=PROMPTS).asked(STEP)
    entries, rows, _ = complete(Numbers({asked[0], asked[2]}, size=PROMPTS))
    assert entries == rows == [asked[1], asked[1], asked[3], asked[3]]


def test_without_a_row_that_can_be_read_all_processes_end_alike(in_memory):
    def ended(rank: int) -> str:
        with pytest.raises(AgreedError, match="step 2: no row of the training data can be read: number") as raised:
            complete(Numbers(set(range(SIZE))), rank, 2)
        return str(raised.value)

    first, second = by_two(ended)
    assert first == second


def module_and_trainer(data: Numbers, first: bool = True):
    trainer = SimpleNamespace(
        global_rank=0, world_size=1, is_global_zero=first, train_dataloader=StepLoader(data, schedule(), list)
    )
    return trainer, SimpleNamespace(steps_done=STEP)


def begin_step(callback: BadRows, data: Numbers) -> RolloutBatch:
    trainer, module = module_and_trainer(data)
    batch = RolloutBatch(list(trainer.train_dataloader)[STEP])
    callback.on_train_batch_start(trainer, module, batch, 0)
    return batch


def test_a_bad_row_is_counted_named_and_listed_and_its_batch_is_whole(tmp_path: Path, caplog):
    asked = schedule().asked(STEP)
    callback = BadRows(BadRowsFile(tmp_path / "bad_rows.jsonl"))
    batch = begin_step(callback, Numbers({asked[2]}))
    assert batch.problems == batch.rows and asked[2] not in batch.rows
    assert callback.metrics == {"data/bad_rows": 1.0}
    (message,) = caplog.messages
    assert f"numbers.jsonl, line {asked[2] + 1}: number {asked[2]} is torn" in message
    (row,) = map(json.loads, (tmp_path / "bad_rows.jsonl").read_text().splitlines())
    assert row == {
        "part": "training",
        "file": "numbers.jsonl",
        "line": asked[2] + 1,
        "reason": "torn",
        "detail": f"number {asked[2]} is torn",
        "found": f"step {STEP + 1}",
    }
    # Met once more it is counted in its step, and neither named nor listed again.
    begin_step(callback, Numbers({asked[2]}))
    assert callback.metrics == {"data/bad_rows": 1.0} and len(caplog.messages) == 1
    begin_step(callback, Numbers(set()))
    assert callback.metrics == {"data/bad_rows": 0.0}


def test_more_bad_rows_than_allowed_end_the_run_and_a_resumed_run_counts_on(tmp_path: Path):
    asked = schedule().asked(STEP)
    callback = BadRows(most=1)
    begin_step(callback, Numbers({asked[0]}))
    resumed = BadRows(BadRowsFile(tmp_path / "bad_rows.jsonl"), most=1)
    resumed.load_state_dict(pickle.loads(pickle.dumps(callback.state_dict())))
    resumed.on_train_start(*module_and_trainer(Numbers(set())))
    begin_step(resumed, Numbers({asked[0]}))
    assert len((tmp_path / "bad_rows.jsonl").read_text().splitlines()) == 1
    with pytest.raises(AgreedError, match=rf"^2 rows .*max_bad_rows=1; the last is line {asked[1] + 1} of numbers"):
        begin_step(resumed, Numbers({asked[0], asked[1]}))
    # The row that was too many is on the list, and not in what is saved: a resumed run meets it again.
    assert len((tmp_path / "bad_rows.jsonl").read_text().splitlines()) == 2
    assert resumed.state_dict() == callback.state_dict()


def test_bad_rows_of_the_validation_are_no_training_rows():
    callback = BadRows(most=0)
    trainer, _ = module_and_trainer(Numbers(set()))
    callback.note(trainer, 0, Numbers(set()), {3: BadRowError("torn")}, "validation")
    assert callback.metrics == {}
    with pytest.raises(AgreedError):
        callback.note(trainer, 1, Numbers(set()), {3: BadRowError("torn")})


def test_what_one_process_cannot_do_ends_all_of_them(in_memory):
    def act(rank: int) -> str:
        def fail() -> None:
            raise UserError("the disk of process 1 is gone")

        trainer = SimpleNamespace(global_rank=rank, world_size=2)
        assert agreed(trainer, lambda: rank) == rank
        with pytest.raises(AgreedError, match="process 1 is gone"):
            agreed(trainer, fail if rank == 1 else int)
        return "ended"

    assert by_two(act) == ["ended", "ended"]
