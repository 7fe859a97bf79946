"""Laws of dynamic sampling: which groups make the batch, and what does not matter for it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from types import SimpleNamespace

import pytest

from lmm_r1.errors import BadRowError
from lmm_r1.training import dynamic_sampling
from lmm_r1.training.batch import PromptSchedule
from lmm_r1.training.dynamic_sampling import DynamicSampling, Filled
from lmm_r1.types import Completion, Group, Problem, Score
from tests.running import HANG_SECONDS

SIZE, PROMPTS = 24, 4


def schedule(rank: int = 0, world: int = 1) -> PromptSchedule:
    return PromptSchedule(
        size=SIZE, prompts_per_step=PROMPTS, steps=3, first_step=0, seed=0, rank=rank, world_size=world
    )


def data() -> list[Problem]:
    return [Problem(str(index), "?", "?", images=(f"picture {index}",)) for index in range(SIZE)]


def scored(problem: Problem, teaching: set[int]) -> Group:
    """A group whose rewards differ if its problem is among those that teach."""
    rewards = (1.0, 0.0 if int(problem.id) in teaching else 1.0)
    completions = [Completion((1,), (-1.0,), "", "stop", 0) for _ in rewards]
    return Group(problem, (1,), completions, [Score(reward, {}, reward == 1, "ok") for reward in rewards])


class Torn(list):
    """Problems some of which cannot be read."""

    def __init__(self, torn: set[int]) -> None:
        super().__init__(data())
        self.torn = torn

    def __getitem__(self, index: int) -> Problem:
        if index in self.torn:
            raise BadRowError("torn", f"problem {index} is torn")
        return super().__getitem__(index)


def fill(
    teaching: set[int],
    rounds: int = 9,
    rank: int = 0,
    world: int = 1,
    step: int = 1,
    torn: set[int] = frozenset(),
    rows: list[int] | None = None,
) -> Filled:
    problems, asked = Torn(torn), (rows or schedule(rank, world).asked(step))[rank::world]

    def sample(further, positions):
        assert len(further) == len(positions)
        return [scored(problem, teaching) for problem in further]

    trainer = SimpleNamespace(global_rank=rank, world_size=world)
    groups = [scored(problems[index], teaching) for index in asked]
    return DynamicSampling(schedule(rank, world), problems, rounds=rounds).fill(trainer, step, groups, sample, rows)


def ids(groups: list[Group]) -> list[int]:
    return [int(group.problem.id) for group in groups]


def test_a_batch_that_teaches_is_left_alone():
    filled = fill(set(range(SIZE)))
    assert ids(filled.groups) == ids(filled.sampled) == schedule().asked(1)
    assert filled.metrics == {"groups/sampled": 4, "groups/rounds": 0}


def test_groups_without_variance_are_replaced_by_others_of_the_data_set():
    teaching = set(range(0, SIZE, 3))
    filled = fill(teaching)
    assert len(filled.groups) == PROMPTS
    assert set(ids(filled.groups)) <= teaching
    assert len(set(ids(filled.sampled))) == len(filled.sampled) == filled.metrics["groups/sampled"]
    assert filled.metrics["groups/rounds"] >= 1


def test_no_more_is_asked_than_the_rounds_allow_and_silent_groups_fill_the_rest():
    filled = fill(set(), rounds=2)
    assert ids(filled.groups) == schedule().asked(1)
    assert filled.metrics == {"groups/sampled": 3 * PROMPTS, "groups/rounds": 2}


def test_a_data_set_that_is_exhausted_ends_the_search():
    filled = fill({schedule().asked(1)[0]}, rounds=100)
    assert filled.metrics["groups/sampled"] == SIZE
    assert len(filled.groups) == PROMPTS


def test_a_row_that_cannot_be_read_is_passed_over_and_named():
    teaching, torn = set(range(0, SIZE, 3)), set(schedule().spare(1)[:3])
    filled = fill(teaching, torn=torn)
    assert set(filled.bad) == torn and str(filled.bad[min(torn)]) == f"problem {min(torn)} is torn"
    assert len(filled.groups) == PROMPTS and not set(ids(filled.sampled)) & torn
    assert [int(group.problem.id) for group in filled.groups] == filled.indices
    assert fill(teaching).bad == {}


def test_a_row_that_already_stands_in_for_another_is_not_asked_twice():
    rows = [*schedule().asked(1)[:3], schedule().spare(1)[0]]
    filled = fill({schedule().asked(1)[0]}, rounds=100, rows=rows)
    assert len(set(ids(filled.sampled))) == len(filled.sampled) == SIZE - 1
    assert ids(filled.sampled)[:4] == rows


def test_what_takes_a_place_depends_on_seed_and_step_alone():
    assert schedule().spare(1) == schedule(rank=1, world=2).spare(1)
    assert schedule().spare(1) != schedule().spare(2)
    assert sorted(schedule().spare(1) + schedule().asked(1)) == list(range(SIZE))


@pytest.mark.parametrize("torn", [0, 5])
@pytest.mark.parametrize("rounds", [1, 9])
def test_two_processes_make_the_batch_of_one(monkeypatch, rounds, torn):
    """Each in a thread, with a meeting place in memory where there would be a process group."""
    values, barrier = [None, None], Barrier(2, timeout=HANG_SECONDS)

    def gather(trainer, value):
        values[trainer.global_rank] = value
        barrier.wait()
        gathered = list(values)
        barrier.wait()
        return gathered

    teaching, torn = set(range(0, SIZE, 4)), set(schedule().spare(1)[:torn])
    alone = fill(teaching, rounds, torn=torn)
    monkeypatch.setattr(dynamic_sampling, "gather_objects", gather)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda rank: fill(teaching, rounds, rank, 2, torn=torn), range(2))
    together = [group for pair in zip(first.groups, second.groups, strict=True) for group in pair]
    assert ids(together) == ids(alone.groups)
    assert first.metrics == second.metrics == alone.metrics
    assert list(first.bad) == list(second.bad) == list(alone.bad)
    assert sorted(ids(first.sampled) + ids(second.sampled)) == sorted(ids(alone.sampled))
    # Wherever it was sampled, a group has its pictures.
    assert all(group.problem.images == (f"picture {group.problem.id}",) for group in together)
