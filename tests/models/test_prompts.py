"""Prompts hold one placeholder for each image, in reading order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lmm_r1.errors import UserError
from lmm_r1.models.loading import load_config
from lmm_r1.models.prompts import VISION_TOKENS, banned_token_ids, render_prompt
from lmm_r1.types import Problem

PLACEHOLDER = "<|vision_start|><|image_pad|><|vision_end|>"


def test_each_image_has_one_placeholder_where_its_marker_stood(processor, image_problem: Problem) -> None:
    prompt = render_prompt(processor, image_problem, None)
    asked = f"Which of {PLACEHOLDER} and {PLACEHOLDER} is larger?"
    assert prompt == f"<|im_start|>user\n{asked}<|im_end|>\n<|im_start|>assistant\n"


def test_without_a_system_prompt_there_is_no_system_turn(processor, text_problem: Problem) -> None:
    assert "system" not in render_prompt(processor, text_problem, None)


def test_the_system_prompt_comes_first(processor, text_problem: Problem) -> None:
    prompt = render_prompt(processor, text_problem, "Think first.")
    assert prompt.startswith("<|im_start|>system\nThink first.<|im_end|>\n<|im_start|>user\nWhat is 3 + 4?<|im_end|>")


def test_the_processor_expands_the_prompt_to_the_images_tokens(processor, image_problem: Problem) -> None:
    prompt = render_prompt(processor, image_problem, None)
    batch = processor(text=[prompt], images=list(image_problem.images), return_tensors="pt")
    assert (batch["input_ids"] == processor.image_token_id).sum() == 4 * 5 + 2 * 3


@pytest.mark.parametrize("question", ["no marker", "<image>", "<image> <image> <image>"])
def test_a_marker_too_few_or_too_many_is_the_users_error(processor, image_problem: Problem, question: str) -> None:
    with pytest.raises(UserError, match=r"problem image: .* 2 images"):
        render_prompt(processor, replace(image_problem, question=question), None)


def test_a_written_image_token_is_the_users_error(processor, text_problem: Problem) -> None:
    with pytest.raises(UserError, match="image_pad"):
        render_prompt(processor, replace(text_problem, question="what is <|image_pad|>?"), None)


@pytest.fixture
def config(tiny_folder):
    return load_config(str(tiny_folder))


def test_the_ban_covers_vision_and_spares_the_rest(processor, config) -> None:
    banned = set(banned_token_ids(processor, config))
    assert processor.image_token_id in banned
    assert processor.video_token_id in banned
    assert not banned & {processor.tokenizer.eos_token_id, *processor.tokenizer.encode("<think> 12 </answer>")}


def test_the_ban_covers_every_row_that_stands_for_no_token(processor, config) -> None:
    """Qwen2.5-VL-3B has 271 of them; whatever is left can be read in the text, and nothing else is banned."""
    rows, banned = config.get_text_config().vocab_size, banned_token_ids(processor, config)
    assert rows - len(processor.tokenizer) == 7
    allowed = [token for token in range(rows) if token not in banned]
    assert len(allowed) == len(processor.tokenizer) - len(VISION_TOKENS)
    assert all(processor.tokenizer.convert_ids_to_tokens(allowed))


def test_the_ban_names_no_row_that_the_model_lacks(processor, config) -> None:
    """A tokenizer may have grown beyond its model."""
    config.get_text_config().vocab_size = processor.image_token_id
    assert max(banned_token_ids(processor, config)) < processor.image_token_id
