"""Scored groups to the tensors of one update."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import ProcessorMixin

from lmm_r1.types import Experience, Group


def rewards_of(groups: Sequence[Group]) -> torch.Tensor:
    """`[P, G]` float32: the reward of each completion. Raises ValueError where groups differ in size."""
    sizes = {len(group.scores) for group in groups}
    if len(sizes) != 1:
        raise ValueError(f"groups of one step must have the same number of scores, got sizes {sorted(sizes)}")
    return torch.tensor([[score.reward for score in group.scores] for group in groups], dtype=torch.float32)


def collate(groups: Sequence[Group], advantages: torch.Tensor, processor: ProcessorMixin) -> Experience:
    """The groups of one step as an `Experience`; prompts and images are kept once for each group.

    Args:
        advantages: `[P, G]`.

    Raises:
        ValueError: where a prompt holds another number of visual tokens than its images give, which would train
            on a prompt that the engine did not see.
    """
    images = [_image_tensors(group, processor) for group in groups]
    completions = [completion for group in groups for completion in group.completions]
    longest = max(len(completion.token_ids) for completion in completions)
    shape = (len(completions), longest)
    token_ids = torch.zeros(shape, dtype=torch.long)
    mask = torch.zeros(shape, dtype=torch.bool)
    logprobs = torch.zeros(shape, dtype=torch.float32)
    for row, completion in enumerate(completions):
        length = len(completion.token_ids)
        token_ids[row, :length] = torch.tensor(completion.token_ids)
        mask[row, :length] = True
        logprobs[row, :length] = torch.tensor(completion.logprobs)
    sizes = torch.tensor([len(group.completions) for group in groups])
    return Experience(
        prompt_ids=[torch.tensor(group.prompt_ids) for group in groups],
        pixel_values=[pixels for pixels, _ in images],
        image_grid_thw=[grid for _, grid in images],
        group_index=torch.repeat_interleave(torch.arange(len(groups)), sizes),
        completion_ids=token_ids,
        completion_mask=mask,
        sampler_logprobs=logprobs,
        advantages=advantages.reshape(-1).float(),
    )


def _image_tensors(group: Group, processor: ProcessorMixin) -> tuple[torch.Tensor, torch.Tensor] | tuple[None, None]:
    image_token = processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    placeholders = group.prompt_ids.count(image_token)
    if not group.problem.images:
        expected, tensors = 0, (None, None)
    else:
        features = processor.image_processor(images=list(group.problem.images), return_tensors="pt")
        tensors = features["pixel_values"], features["image_grid_thw"]
        expected = int(tensors[1].prod(dim=1).sum()) // processor.image_processor.merge_size**2
    if placeholders != expected:
        raise ValueError(
            f"problem {group.problem.id!r}: the engine's prompt has {placeholders} visual tokens, "
            f"its {len(group.problem.images)} image(s) give {expected}; are the pixel bounds the same on both sides?"
        )
    return tensors
