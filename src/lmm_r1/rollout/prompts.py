"""From problems to what an engine is asked: prompt ids with one placeholder for each image, checked for length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL.Image import Image

from lmm_r1.errors import UserError
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

    Raises `UserError`, naming the problem, for one that is too long: prompts are never cut.
    """
    prompts = [_render(processor, problem, system_prompt) for problem in problems]
    for problem, prompt in zip(problems, prompts, strict=True):
        if prompt.length + sampling.max_new_tokens > max_model_len:
            raise UserError(
                f"problem {problem.id}: its prompt of {prompt.length} tokens and a completion of up to "
                f"{sampling.max_new_tokens} exceed rollout.engine.max_model_len={max_model_len}; "
                "raise it, lower rollout.max_new_tokens or model.max_pixels, or drop the problem"
            )
    return prompts


def _render(processor: ProcessorMixin, problem: Problem, system_prompt: str | None) -> Prompt:
    text = render_prompt(processor, problem, system_prompt)
    token_ids = processor.tokenizer(text)["input_ids"]
    extra = sum(_visual_tokens(processor, image) - 1 for image in problem.images)
    return Prompt(text, token_ids, problem.images, len(token_ids) + extra)


def _visual_tokens(processor: ProcessorMixin, image: Image) -> int:
    """How many tokens the language model sees of an image: its patches after resizing, merged 2 × 2."""
    image_processor = processor.image_processor
    patches = image_processor.get_number_of_image_patches(image.height, image.width, {})
    return patches // image_processor.merge_size**2
