"""Groups are dealt out evenly, and dealing changes nothing but who computes what."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import torch
from hypothesis import given
from hypothesis import strategies as st

from lmm_r1.training import balance
from lmm_r1.training.balance import balanced, deal
from lmm_r1.types import Completion, Group, Problem

sizes_and_processes = st.integers(1, 6).flatmap(
    lambda processes: st.tuples(
        st.integers(1, 6).flatmap(
            lambda each: st.lists(st.integers(1, 1000), min_size=each * processes, max_size=each * processes)
        ),
        st.just(processes),
    )
)


@given(sizes_and_processes)
def test_every_process_has_as_many_groups_and_every_group_one_process(drawn) -> None:
    sizes, processes = drawn
    shares = deal(sizes, processes)
    assert sorted(position for share in shares for position in share) == list(range(len(sizes)))
    assert {len(share) for share in shares} == {len(sizes) // processes}
    assert shares == deal(sizes, processes)


@given(sizes_and_processes)
def test_no_two_processes_differ_by_more_than_the_largest_group(drawn) -> None:
    sizes, processes = drawn
    loads = [sum(sizes[position] for position in share) for share in deal(sizes, processes)]
    assert max(loads) - min(loads) <= max(sizes)


def test_the_long_are_dealt_out_among_the_processes() -> None:
    assert deal([9, 8, 1, 2, 7, 3], 2) == [[0, 3, 5], [1, 2, 4]]


def group(number: int, tokens: int) -> Group:
    return Group(Problem(str(number), "?", "1", images=(number,)), (0,), [Completion((0,) * tokens, (), "", "stop", 0)])


def exchange(tokens: list[list[int]], monkeypatch) -> list[tuple[list[Group], torch.Tensor]]:
    """What each process has after `balanced`, its messages delivered by hand."""
    world = len(tokens)
    data = [group(number, 0).problem for number in range(sum(map(len, tokens)))]
    indices = [list(range(len(data)))[rank::world] for rank in range(world)]
    groups = [
        [group(index, length) for index, length in zip(indices[rank], tokens[rank], strict=True)]
        for rank in range(world)
    ]
    advantages = [torch.tensor(indices[rank])[:, None].float() for rank in range(world)]
    light = [[replace(one, problem=replace(one.problem, images=())) for one in part] for part in groups]
    found = []
    for rank in range(world):
        messages = iter(
            (
                [[1 + length for length in part] for part in tokens],
                [list(zip(light[r], advantages[r], indices[r], strict=True)) for r in range(world)],
            )
        )
        monkeypatch.setattr(balance, "gather_objects", lambda trainer, value, messages=messages: next(messages))
        trainer = SimpleNamespace(global_rank=rank, world_size=world)
        found.append(balanced(trainer, groups[rank], advantages[rank], indices[rank], data))
    return found


def test_groups_travel_with_their_advantages_and_get_their_pictures_again(monkeypatch) -> None:
    found = exchange([[90, 80, 70], [5, 3, 1]], monkeypatch)
    assert sorted(int(one.problem.id) for groups, _ in found for one in groups) == list(range(6))
    loads = []
    for groups, advantages in found:
        assert [int(one.problem.id) for one in groups] == advantages[:, 0].int().tolist()
        assert [one.problem.images for one in groups] == [(int(one.problem.id),) for one in groups]
        loads.append(sum(len(one.completions[0].token_ids) for one in groups))
    assert max(loads) < 0.65 * sum(loads)


def test_even_shares_stay_where_they_are(monkeypatch) -> None:
    found = exchange([[10, 20], [21, 10]], monkeypatch)
    assert [[int(one.problem.id) for one in groups] for groups, _ in found] == [[0, 2], [1, 3]]
