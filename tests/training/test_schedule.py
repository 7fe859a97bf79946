"""Laws of the prompt order and the learning rate."""

from __future__ import annotations

import threading

import pytest

from lmm_r1.training.batch import PromptSchedule, StepLoader
from lmm_r1.training.optimiser import learning_rate_factor
from tests.running import HANG_SECONDS


def schedule(first_step=0, rank=0, world_size=1, seed=0, steps=10, size=21, prompts_per_step=6, keys=None):
    return list(
        PromptSchedule(
            size=size,
            prompts_per_step=prompts_per_step,
            steps=steps,
            first_step=first_step,
            seed=seed,
            rank=rank,
            world_size=world_size,
            keys=keys,
        )
    )


@pytest.mark.parametrize("k", [0, 1, 4, 9, 10])
def test_a_resumed_schedule_goes_on_where_it_stopped(k):
    assert schedule(first_step=k) == schedule()[k:]


def test_every_pass_asks_every_problem_once():
    order = [index for step in schedule(steps=7) for index in step]
    assert sorted(order[:21]) == sorted(order[21:42]) == list(range(21))
    assert order[:21] != order[21:42]


def test_processes_share_out_a_step_without_overlap():
    whole, first, second = schedule(), schedule(rank=0, world_size=2), schedule(rank=1, world_size=2)
    for step, left, right in zip(whole, first, second, strict=True):
        assert [index for pair in zip(left, right, strict=True) for index in pair] == step


def test_a_row_that_goes_does_not_reorder_the_others():
    names = [f"row {place}" for place in range(21)]
    left = [name for name in names if name != "row 4"]

    def passes(rows, count):
        order = [
            rows[index]
            for step in schedule(size=len(rows), keys=rows, prompts_per_step=1, steps=count * len(rows))
            for index in step
        ]
        return [order[start : start + len(rows)] for start in range(0, len(order), len(rows))]

    for before, after in zip(passes(names, 3), passes(left, 3), strict=True):
        assert sorted(before) == sorted(names)
        assert [name for name in before if name != "row 4"] == after
    first, second, _ = passes(names, 3)
    assert first != second and first != names


def test_a_row_that_goes_does_not_reorder_what_may_take_the_place_of_others():
    names = [f"row {place}" for place in range(21)]

    def spare(rows):
        order = PromptSchedule(
            size=len(rows), prompts_per_step=1, steps=2, first_step=0, seed=0, rank=0, world_size=1, keys=rows
        )
        return [rows[index] for index in order.spare(0)], rows[order.asked(0)[0]]

    (before, asked), (after, asked_after) = spare(names), spare([name for name in names if name != "row 4"])
    assert asked == asked_after != "row 4"
    assert [name for name in before if name != "row 4"] == after


def test_another_seed_asks_in_another_order():
    assert schedule(seed=0) != schedule(seed=1)


def test_a_resumed_schedule_has_the_length_of_what_is_left():
    left = PromptSchedule(size=5, prompts_per_step=2, steps=10, first_step=7, seed=0, rank=0, world_size=1)
    assert len(left) == len(list(left)) == 3


def loader(dataset, steps=4):
    order = PromptSchedule(
        size=len(dataset), prompts_per_step=2, steps=steps, first_step=0, seed=0, rank=0, world_size=1
    )
    return StepLoader(dataset, order, list)


def test_a_step_has_the_entries_of_its_schedule_in_order():
    entries = list("abcdefgh")
    expected = [[entries[index] for index in step] for step in schedule(steps=4, size=8, prompts_per_step=2)]
    assert list(loader(entries)) == expected and len(loader(entries)) == 4
    assert list(loader(entries, steps=1)) == expected[:1]
    assert list(loader(entries, steps=0)) == []


class Watched(list):
    """Counts what has been read, and fails at one entry."""

    def __init__(self, *entries, broken=None):
        super().__init__(entries)
        self.read, self.broken = threading.Semaphore(0), broken

    def __getitem__(self, index):
        if index == self.broken:
            raise KeyError(index)
        self.read.release()
        return super().__getitem__(index)


def test_the_next_step_is_read_while_this_one_is_at_work():
    entries = Watched(*"abcdefgh")
    steps = iter(loader(entries))
    next(steps)
    for _ in range(4):
        assert entries.read.acquire(timeout=HANG_SECONDS), "only this step was read"
    steps.close()
    assert not entries.read.acquire(blocking=False), "more than the next step was read"


def test_an_entry_that_cannot_be_read_is_an_error_of_its_own_step():
    first, second, third, _ = schedule(steps=4, size=8, prompts_per_step=2)
    steps = iter(loader(Watched(*"abcdefgh", broken=third[1])))
    assert next(steps) == ["abcdefgh"[index] for index in first]
    assert next(steps) == ["abcdefgh"[index] for index in second]
    with pytest.raises(KeyError):
        next(steps)


def factor(step, schedule="cosine", warmup=4, steps=20):
    return learning_rate_factor(step, warmup=warmup, steps=steps, schedule=schedule, min_ratio=0.1)


def test_the_learning_rate_rises_linearly_and_stays_when_constant():
    assert [factor(step, "constant") for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_a_cosine_falls_from_one_to_its_floor():
    values = [factor(step) for step in range(4, 21)]
    assert values[0] == 1.0 and values[-1] == pytest.approx(0.1)
    assert values == sorted(values, reverse=True)
