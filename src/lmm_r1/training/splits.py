"""A rollout cut into optimiser steps, and its rows as a padded batch."""

from __future__ import annotations

import torch

from lmm_r1.types import Experience


def mini_batches(
    group_index: torch.Tensor, count: int, *, seed: int, step: int, inner_epoch: int
) -> list[torch.Tensor]:
    """The rows of each of `count` optimiser steps: all at once, or a shuffle that seed, step and epoch decide.

    Groups `[N]` are shuffled whole, so that a prompt is computed in one step alone; steps are of equal size, and a
    group is cut where one ends.
    """
    if count == 1:
        return [torch.arange(len(group_index))]
    generator = torch.Generator().manual_seed((seed * 1_000_003 + step) * 1_009 + inner_epoch)
    turn = torch.randperm(int(group_index.max()) + 1, generator=generator)
    return list(turn[group_index].argsort(stable=True).chunk(count))


def model_arguments(
    experience: Experience, rows: torch.Tensor, device: torch.device
) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
    """`rows` of an experience as `models.logprobs.completion_statistics` takes them: prompts, completions and their
    mask cut to the longest of them, images and their grids."""
    mask = experience.completion_mask[rows]
    longest = int(mask.sum(dim=1).max())
    groups = experience.group_index[rows].tolist()
    pixels = [experience.pixel_values[group] for group in groups if experience.pixel_values[group] is not None]
    grids = [experience.image_grid_thw[group] for group in groups if experience.pixel_values[group] is not None]
    return (
        [experience.prompt_ids[group].to(device) for group in groups],
        experience.completion_ids[rows, :longest].to(device),
        mask[:, :longest].to(device),
        torch.cat(pixels).to(device) if pixels else None,
        torch.cat(grids).to(device) if grids else None,
    )
