"""Many completions in one row without padding, each group's prompt standing there once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class PromptGroup:
    """A prompt and completions that answer it. Made by `training.forward`; read by `models.group_logprobs`."""

    prompt_ids: Tensor
    """`[L]` int64, images expanded to their visual tokens."""
    completions: list[Tensor]
    """For each completion its tokens `[T_i]` int64; lengths may differ."""
    image_grid_thw: Tensor | None
    """The patch grid of each image `[images, 3]`, or None for text."""


@dataclass(frozen=True)
class PackedRow:
    """`[prompt 1, its completions, prompt 2, its completions, …]`: N tokens, S of them sampled.

    Example: the prompt `ab` with the completions `x` and `yz` is the row `a b x y z` at positions 0 1 2 2 3.
    """

    token_ids: Tensor
    """`[N]` int64."""
    position_ids: Tensor
    """`[3, N]` int64: time, height and width; each completion goes on from its prompt's greatest position."""
    predicting: Tensor
    """`[S]` int64: where the token before each sampled one stands; the first follows its prompt's last."""
    sampled: Tensor
    """`[S]` int64: the sampled tokens, in the order of groups and completions."""
    prompt_lengths: tuple[int, ...]
    completion_lengths: tuple[tuple[int, ...], ...]
    """For each group, its completions' lengths."""

    def to(self, device: torch.device) -> PackedRow:
        moved = {
            name: getattr(self, name).to(device) for name in ("token_ids", "position_ids", "predicting", "sampled")
        }
        return PackedRow(**moved, prompt_lengths=self.prompt_lengths, completion_lengths=self.completion_lengths)


def pack(groups: Sequence[PromptGroup], positions: Callable[[PromptGroup], Tensor]) -> PackedRow:
    """Put `groups` into one row, in their order.

    Args:
        positions: the prompt's position ids `[3, L]`.
    """
    tokens, places, predicting, start = [], [], [], 0
    for group in groups:
        prompt_places = positions(group)
        tokens.append(group.prompt_ids)
        places.append(prompt_places)
        next_place, last_of_prompt = prompt_places.max() + 1, start + len(group.prompt_ids) - 1
        start += len(group.prompt_ids)
        for completion in group.completions:
            steps = torch.arange(len(completion))
            tokens.append(completion)
            places.append((next_place + steps).expand(3, -1))
            predicting.append(torch.where(steps == 0, last_of_prompt, start + steps - 1))
            start += len(completion)
    return PackedRow(
        token_ids=torch.cat(tokens),
        position_ids=torch.cat(places, dim=1),
        predicting=torch.cat(predicting),
        sampled=torch.cat([completion for group in groups for completion in group.completions]),
        prompt_lengths=tuple(len(group.prompt_ids) for group in groups),
        completion_lengths=tuple(tuple(map(len, group.completions)) for group in groups),
    )


def fill_rows(
    prompt_lengths: Sequence[int], completion_lengths: Sequence[int], group_of: Sequence[int], budget: int
) -> list[list[int]]:
    """Deal completions out to packed rows of at most `budget` tokens: as few rows as need be, as equal as can be.

    A group stays together, so that its prompt is computed once, unless it alone exceeds the budget: then its prompt
    stands in several rows. A prompt with a single completion above the budget has a row to itself. Rows are filled by
    the longest first, each into the emptiest row (Graham 1969, LPT), and the same lengths give the same rows.

    Args:
        prompt_lengths: of each group.
        completion_lengths: of each completion.
        group_of: the group of each completion.
        budget: tokens, prompts included.

    Returns:
        for each row the completions in it, those of a group side by side, groups by ascending prompt length.
    """
    pieces = _pieces(prompt_lengths, completion_lengths, group_of, budget)
    sizes = [prompt_lengths[group_of[piece[0]]] + sum(completion_lengths[i] for i in piece) for piece in pieces]
    longest_first = sorted(range(len(pieces)), key=lambda piece: (-sizes[piece], piece))
    too_long = [piece for piece in longest_first if sizes[piece] > budget]
    rows = [[piece] for piece in too_long] + _evenly(longest_first[len(too_long) :], sizes, budget)
    rows = [sorted(row, key=lambda piece: (prompt_lengths[group_of[pieces[piece][0]]], piece)) for row in rows]
    return [[completion for piece in row for completion in pieces[piece]] for row in rows]


def _evenly(longest_first: list[int], sizes: list[int], budget: int) -> list[list[int]]:
    """The pieces in as few rows as the budget allows, each piece in the row that was the emptiest."""
    count = -(-sum(sizes[piece] for piece in longest_first) // budget)
    while True:
        rows, loads = [[] for _ in range(count)], [0] * count
        for piece in longest_first:
            emptiest = loads.index(min(loads))
            rows[emptiest].append(piece)
            loads[emptiest] += sizes[piece]
        if max(loads, default=0) <= budget:
            return rows
        count += 1


def _pieces(
    prompt_lengths: Sequence[int], completion_lengths: Sequence[int], group_of: Sequence[int], budget: int
) -> list[list[int]]:
    """The completions of each group, cut where a prompt and its completions would exceed the budget."""
    groups: dict[int, list[int]] = {}
    for completion, group in enumerate(group_of):
        groups.setdefault(group, []).append(completion)
    pieces = []
    for group, completions in groups.items():
        pieces.append([])
        size = prompt_lengths[group]
        for completion in completions:
            if pieces[-1] and size + completion_lengths[completion] > budget:
                pieces.append([])
                size = prompt_lengths[group]
            pieces[-1].append(completion)
            size += completion_lengths[completion]
    return pieces
