"""How long a data set's prompts are, measured on its first problems where they and the tokenizer can be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import try_to_load_from_cache

from lmm_r1.errors import BadRowError, UserError
from lmm_r1.models.loading import load_processor
from lmm_r1.rollout.prompts import Prompt, render_prompts
from lmm_r1.training.settings import ModelSettings
from lmm_r1.types import Problem, Sampling

MEASURED_PROBLEMS = 64


@dataclass(frozen=True)
class PromptLengths:
    """Means over problems, in tokens."""

    prompt: float
    """Visual tokens included."""
    image: float
    """Visual tokens alone."""
    source: str
    """Where the numbers are from, in words."""


def measured_lengths(
    model: ModelSettings, data: Sequence[Problem], sampling: Sampling, max_model_len: int
) -> PromptLengths | None:
    """None where the model's tokenizer is not on this machine. Problems that cannot be asked are passed over.

    Raises:
        UserError: none of the first problems can be asked.
    """
    folder = _folder(model.path)
    if folder is None:
        return None
    processor = load_processor(str(folder), model.min_pixels, model.max_pixels)
    prompts: list[Prompt] = []
    for index in range(min(MEASURED_PROBLEMS, len(data))):
        try:
            prompts += render_prompts(processor, [data[index]], model.system_prompt, sampling, max_model_len)
        except BadRowError as error:
            refused = error
    if not prompts:
        raise UserError(f"none of the first {MEASURED_PROBLEMS} problems can be asked; the last: {refused}")
    total = sum(prompt.length for prompt in prompts)
    # Each image is one placeholder among the ids.
    visual = sum(prompt.length - len(prompt.token_ids) + len(prompt.images) for prompt in prompts)
    return PromptLengths(total / len(prompts), visual / len(prompts), f"measured on {len(prompts)} problems")


def _folder(path: str) -> Path | None:
    """Where the model's files lie, without asking the network for them."""
    folder = Path(path).expanduser()
    if folder.is_dir():
        return folder
    cached = try_to_load_from_cache(path, "tokenizer.json")
    return Path(cached).parent if isinstance(cached, str) else None
