"""From problems to what an engine is asked: prompt ids with one placeholder for each image, checked for length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL.Image import Image

from lmm_r1.errors import BadRowError
from lmm_r1.models.prompts import render_prompt
from lmm_r1.types import Problem, Sampling

if TYPE_CHECKING:
    from transformers import ProcessorMixin


@dataclass(frozen=True)
class Prompt:
    """One rendered problem. Made by `render_prompts`; read by the engines."""

    text: str
    """The chat text with one image placeholder for each image."""
    token_ids: list[int]
    """The same as ids, each image still one id."""
    images: tuple[Image, ...]
    length: int
    """Tokens once every image is expanded to its visual tokens."""


def render_prompts(
    processor: ProcessorMixin,
    problems: Sequence[Problem],
    system_prompt: str | None,
    sampling: Sampling,
    max_model_len: int,
) -> list[Prompt]:
    """Render every problem, and see that prompt and completion fit into `max_model_len` tokens.

    Raises `BadRowError`, naming the problem, for one that cannot be asked: prompts are never cut.
    """
    prompts = [_render(processor, problem, system_prompt) for problem in problems]
    for problem, prompt in zip(problems, prompts, strict=True):
        check_length(problem, prompt.length, sampling.max_new_tokens, max_model_len)
    return prompts


def check_length(problem: Problem, length: int, max_new_tokens: int, max_model_len: int) -> None:
    """Raises `BadRowError` unless a prompt of `length` tokens and its completion fit."""
    if length + max_new_tokens > max_model_len:
        raise BadRowError(
            "prompt that is too long",
            f"problem {problem.id}: its prompt of {length} tokens and a completion of up to {max_new_tokens} exceed "
            f"rollout.engine.max_model_len={max_model_len}; raise it, or lower rollout.max_new_tokens or "
            "model.max_pixels",
        )


def visual_tokens(processor: ProcessorMixin, problem: Problem, sizes: Sequence[tuple[int, int]]) -> int:
    """How many tokens the language model sees of images: their patches after resizing, merged 2 × 2.

    Args:
        sizes: width and height of each image.

    Raises:
        BadRowError: for a shape that the image processor refuses.
    """
    image_processor = processor.image_processor
    total = 0
    for width, height in sizes:
        try:
            patches = image_processor.get_number_of_image_patches(height, width, {})
        except ValueError as error:
            raise BadRowError(
                "picture of a shape that the model cannot take",
                f"problem {problem.id}: a picture of {width} × {height} pixels: {error}",
            ) from error
        total += patches // image_processor.merge_size**2
    return total


def _render(processor: ProcessorMixin, problem: Problem, system_prompt: str | None) -> Prompt:
    text = render_prompt(processor, problem, system_prompt)
    token_ids = processor.tokenizer(text)["input_ids"]
    visual = visual_tokens(processor, problem, [image.size for image in problem.images])
    return Prompt(text, token_ids, problem.images, len(token_ids) + visual - len(problem.images))
