"""A rollout cut into optimiser steps, and those into what fits into memory."""

from __future__ import annotations

import torch

from lmm_r1.types import Experience


def mini_batches(size: int, count: int, *, seed: int, step: int, inner_epoch: int) -> list[torch.Tensor]:
    """The rows of each of `count` optimiser steps: all at once, or a shuffle that seed, step and epoch decide."""
    if count == 1:
        return [torch.arange(size)]
    generator = torch.Generator().manual_seed((seed * 1_000_003 + step) * 1_009 + inner_epoch)
    return list(torch.randperm(size, generator=generator).chunk(count))


def micro_batches(mask: torch.Tensor, size: int) -> tuple[torch.Tensor, ...]:
    """Positions within the mini-batch of `mask` `[B, T]`, at most `size` at a time, completions of like length together
    so that little padding is computed."""
    return mask.sum(dim=1).argsort(stable=True).split(size)


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
