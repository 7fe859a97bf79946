"""Rows hold every completion once, stay within their budget, and show each token its own sequence alone."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention.flex_attention import create_mask

from lmm_r1.models.packing import PromptGroup, fill_rows, pack
from lmm_r1.models.shared_prefix import (
    COMPLETION_PADDING,
    SHORT_COMPLETION,
    PrefixLayout,
    block_mask,
    prefix_layout,
)

group_sizes = st.lists(
    st.tuples(st.integers(1, 40), st.lists(st.integers(1, 30), min_size=1, max_size=5)), min_size=1, max_size=5
)


def packed(sizes: list[tuple[int, list[int]]]):
    groups = [PromptGroup(torch.arange(p), [torch.arange(t) for t in lengths], None) for p, lengths in sorted(sizes)]
    return pack(groups, lambda group: torch.arange(len(group.prompt_ids)).expand(3, -1))


def test_a_completion_goes_on_where_its_prompt_ends() -> None:
    row = packed([(2, [1, 2])])
    assert row.token_ids.tolist() == [0, 1, 0, 0, 1]
    assert row.position_ids.tolist() == [[0, 1, 2, 2, 3]] * 3
    assert row.predicting.tolist() == [1, 1, 3]
    assert row.sampled.tolist() == [0, 0, 1]


@settings(max_examples=40)
@given(sizes=group_sizes, budget=st.integers(1, 120), data=st.data())
def test_rows_hold_every_completion_once_within_the_budget(sizes, budget, data) -> None:
    owners = [(group, length) for group, (_, lengths) in enumerate(sizes) for length in lengths]
    owners = data.draw(st.permutations(owners))
    prompts, lengths = [prompt for prompt, _ in sizes], [length for _, length in owners]
    group_of = [group for group, _ in owners]
    rows = fill_rows(prompts, lengths, group_of, budget)
    assert sorted(completion for row in rows for completion in row) == list(range(len(owners)))
    assert rows == fill_rows(prompts, lengths, group_of, budget)
    for row in rows:
        groups = [group_of[completion] for completion in row]
        in_order = list(dict.fromkeys(groups))
        assert groups == sorted(groups, key=in_order.index), "a group's completions stand side by side"
        assert [prompts[group] for group in in_order] == sorted(prompts[group] for group in in_order)
        size = sum(prompts[group] for group in in_order) + sum(lengths[completion] for completion in row)
        assert size <= budget or len(row) == 1


def test_a_group_is_cut_only_where_it_exceeds_the_budget() -> None:
    assert fill_rows([10, 10], [5, 5, 5, 5], [0, 0, 1, 1], 40) == [[0, 1, 2, 3]]
    assert fill_rows([10, 10], [5, 5, 5, 5], [0, 0, 1, 1], 39) == [[0, 1], [2, 3]]
    assert fill_rows([10], [5, 5, 5], [0, 0, 0], 20) == [[0, 1], [2]]


def test_rows_are_equally_full() -> None:
    rows = fill_rows([10] * 6, [10] * 6, list(range(6)), 80)
    assert [len(row) for row in rows] == [3, 3]


def plain_mask(sizes: list[tuple[int, list[int]]]) -> torch.Tensor:
    """Which token sees which, from the definition: `[N, N]`."""
    total = sum(prompt + sum(lengths) for prompt, lengths in sizes)
    mask, start = torch.zeros(total, total, dtype=torch.bool), 0
    for prompt, lengths in sorted(sizes):
        mask[start : start + prompt, start : start + prompt] = torch.ones(prompt, prompt).tril().bool()
        begin = start + prompt
        for length in lengths:
            mask[begin : begin + length, start : start + prompt] = True
            mask[begin : begin + length, begin : begin + length] = torch.ones(length, length).tril().bool()
            begin += length
        start = begin
    return mask


def layout_mask(layout: PrefixLayout) -> torch.Tensor:
    """What a layout's batches let each token of the row see."""
    padded, start = torch.zeros(layout.size, layout.size, dtype=torch.bool), 0
    for batch in layout.batches:
        places = torch.arange(start, start + batch.size)
        prompts, *completions = (part[:, 0, :, 0] for part in batch.split(places[:, None, None]))
        for prompt in prompts:
            padded[prompt[:, None], prompt] = torch.ones(len(prompt), len(prompt)).tril().bool()
        for of, rows in zip(batch.completions, completions, strict=True):
            visible = of.visible.expand(len(rows), -1, -1, -1)
            for own, prompt, seen in zip(rows, of.prompt_of_row, visible, strict=True):
                padded[own[:, None], torch.cat([prompts[prompt], own])] = seen[0]
        start += batch.size
    return padded[layout.place[:, None], layout.place]


@settings(max_examples=12)
@given(sizes=group_sizes)
def test_each_token_sees_its_prompt_and_its_own_past(sizes) -> None:
    row, expected = packed(sizes), plain_mask(sizes)
    assert torch.equal(layout_mask(prefix_layout(row)), expected)
    mask = block_mask(row)
    assert torch.equal(create_mask(mask.mask_mod, 1, 1, len(expected), len(expected), device="cpu")[0, 0], expected)


def test_a_completion_is_padded_to_one_of_like_length() -> None:
    lengths = [1, 64, 3, 30, 50, 4, 64, 12]
    (batch,) = prefix_layout(packed([(7, lengths)])).batches
    assert sorted(member for of in batch.completions for member in of.members) == list(range(len(lengths)))
    assert len(batch.completions) < len(lengths)
    for of in batch.completions:
        shortest = min(lengths[member] for member in of.members)
        assert of.length <= COMPLETION_PADDING * shortest + SHORT_COMPLETION
