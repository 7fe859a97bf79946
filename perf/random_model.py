"""A Qwen2.5-VL with random weights and problems of an exact length: all that measuring speed needs."""

from __future__ import annotations

import json
import random
from pathlib import Path

import lmm_r1.models  # noqa: F401  (first of all: a package that transformers imports may need mending)

# isort: split
import torch
from PIL import Image
from tokenizers import Tokenizer
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

from lmm_r1.models.architecture import PUBLISHED
from lmm_r1.models.prompts import render_prompt
from lmm_r1.models.tokenizer import train_tokenizer
from lmm_r1.types import IMAGE_MARKER, Problem

NEVER_SAMPLED = "<|vision_pad|>"
"""The end token of these models: engines give vision tokens no probability, so every completion has its full length."""
SPARE_ROWS = 271
"""Of the published model's head: they stand for no token, and engines give them no probability either."""
PIXELS_OF_A_TOKEN = 28
"""Side of the square that becomes one visual token: two patches of 14."""

SHARED_TEXT = {"max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "tie_word_embeddings": True}
SHARED_VISION = {"patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2, "window_size": 112}
LARGE = PUBLISHED["Qwen/Qwen2.5-VL-3B-Instruct"]
SIZES = {
    "3b": {
        "text": {
            key: LARGE[key]
            for key in (
                "hidden_size",
                "intermediate_size",
                "num_hidden_layers",
                "num_attention_heads",
                "num_key_value_heads",
                "vocab_size",
            )
        },
        "mrope_section": [16, 24, 24],
        "vision": {"num_heads": 16, **LARGE["vision_config"]},
    },
    # The same kinds of layers, for a first try on any machine.
    "tiny": {
        "text": {
            "hidden_size": 128,
            "intermediate_size": 384,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "vocab_size": 640,
        },
        "mrope_section": [4, 6, 6],
        "vision": {
            "depth": 2,
            "hidden_size": 128,
            "intermediate_size": 256,
            "num_heads": 4,
            "out_hidden_size": 128,
            "fullatt_block_indexes": [1],
        },
    },
}


def build_random(folder: Path, size: str, device: str) -> None:
    """Write a model folder in Hugging Face format, its weights in bfloat16, drawn on `device`."""
    shape = SIZES[size]
    tokenizer = _filled(train_tokenizer(["0123456789"]), shape["text"]["vocab_size"] - SPARE_ROWS)
    tokenizer.eos_token = NEVER_SAMPLED
    token_id = tokenizer.convert_tokens_to_ids
    rope = {"rope_type": "default", "rope_theta": 1_000_000.0, "mrope_section": shape["mrope_section"]}
    config = Qwen2_5_VLConfig(
        text_config=SHARED_TEXT
        | shape["text"]
        | {
            "rope_parameters": rope,
            "bos_token_id": token_id("<|endoftext|>"),
            "eos_token_id": token_id(NEVER_SAMPLED),
        },
        vision_config=SHARED_VISION | shape["vision"],
        image_token_id=token_id("<|image_pad|>"),
        video_token_id=token_id("<|video_pad|>"),
        vision_start_token_id=token_id("<|vision_start|>"),
        vision_end_token_id=token_id("<|vision_end|>"),
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    with torch.device(device):
        model = Qwen2_5_VLForConditionalGeneration._from_config(config, dtype=torch.bfloat16)
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    processor = Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(size={"shortest_edge": 3136, "longest_edge": 501760}),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=tokenizer.chat_template,
    )
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def _filled(tokenizer: PreTrainedTokenizerFast, tokens: int) -> PreTrainedTokenizerFast:
    """The same tokenizer with as many `tokens`; those that come to it are never made of any text."""
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    first_added = tokens - len(state["added_tokens"])
    state["model"]["vocab"] |= {
        f"filler {number}": number for number in range(len(state["model"]["vocab"]), first_added)
    }
    for place, added in enumerate(state["added_tokens"]):
        added["id"] = first_added + place
    tokenizer._tokenizer = Tokenizer.from_str(json.dumps(state))
    return tokenizer


def problems(processor, count: int, text_tokens: int, image_tokens: tuple[int, int] | None) -> list[Problem]:
    """Problems whose prompts have `text_tokens` of text and an image of `image_tokens` (rows, columns), all different.

    Every digit is a token of its own, so digits fill the prompt up to its length.
    """
    made = []
    for number in range(count):
        chance = random.Random(number)
        image = None if image_tokens is None else _noise(chance, *image_tokens)
        images, marker = ((), "") if image is None else ((image,), IMAGE_MARKER)
        frame = render_prompt(processor, Problem("frame", marker + "0", "", images=images), None)
        digits = text_tokens - len(processor.tokenizer(frame)["input_ids"]) + 1 + len(images)
        question = marker + "".join(chance.choices("0123456789", k=digits))
        made.append(Problem(f"{number}", question, "0", images=images, source="random"))
    return made


def _noise(chance: random.Random, rows: int, columns: int) -> Image.Image:
    size = (columns * PIXELS_OF_A_TOKEN, rows * PIXELS_OF_A_TOKEN)
    return Image.frombytes("RGB", size, chance.randbytes(3 * size[0] * size[1]))
