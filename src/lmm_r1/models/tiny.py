"""A Qwen2.5-VL of about two million parameters with random weights: the real architecture at a laptop's size."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

from lmm_r1.models.tokenizer import train_tokenizer

HIDDEN_SIZE = 128
HEADS = 4  # a head size of 32, the smallest that vLLM's CPU attention takes
PATCH_SIZE = 14
MERGE_SIZE = 2  # 2×2 patches make one visual token of 28×28 pixels
MIN_PIXELS = 28 * 28
MAX_PIXELS = 448 * 448
ROPE_THETA = 20.0  # width has the slowest frequencies: at Qwen's 10⁶ neighbouring columns of a small figure look alike
INITIAL_STD = 0.09  # 1/√128; Qwen's 0.02 is for wide layers; this narrow it starts slowly


def build_tiny(folder: Path, corpus: Iterable[str], seed: int, *, spare_rows: int = 0) -> None:
    """Write a model folder in Hugging Face format: config, random weights in float32, tokenizer, template, processor.

    Transformers and vLLM load it as they load Qwen2.5-VL-3B. The same corpus and seed give the same files; torch's
    random state is left as it was.

    Args:
        spare_rows: rows of embedding and head that stand for no token; Qwen2.5-VL-3B has 271.
    """
    tokenizer = train_tokenizer(corpus)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen2_5_VLForConditionalGeneration(tiny_config(tokenizer, spare_rows))
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    patches = {"patch_size": PATCH_SIZE, "merge_size": MERGE_SIZE, "temporal_patch_size": 2}
    size = {"shortest_edge": MIN_PIXELS, "longest_edge": MAX_PIXELS}
    processor = Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(size=size, **patches),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(size=size, **patches),
        chat_template=tokenizer.chat_template,
    )
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def tiny_config(tokenizer: PreTrainedTokenizerFast, spare_rows: int) -> Qwen2_5_VLConfig:
    """The architecture of Qwen2.5-VL-3B with its widths and depths reduced; nothing is left out."""
    token_id = tokenizer.convert_tokens_to_ids
    return Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer) + spare_rows,
            "hidden_size": HIDDEN_SIZE,
            "intermediate_size": 384,
            "num_hidden_layers": 4,
            "num_attention_heads": HEADS,
            "num_key_value_heads": 2,
            "max_position_embeddings": 8192,
            "rms_norm_eps": 1e-6,
            "initializer_range": INITIAL_STD,
            # Three sections for time, height and width, half of the head size in all, in Qwen's proportions 2:3:3.
            "rope_parameters": {"rope_type": "default", "rope_theta": ROPE_THETA, "mrope_section": [4, 6, 6]},
            "bos_token_id": token_id("<|endoftext|>"),
            "eos_token_id": token_id("<|im_end|>"),
            "tie_word_embeddings": True,
        },
        vision_config={
            "depth": 3,
            "hidden_size": HIDDEN_SIZE,
            "intermediate_size": 256,
            "num_heads": HEADS,
            "out_hidden_size": HIDDEN_SIZE,
            "patch_size": PATCH_SIZE,
            "spatial_merge_size": MERGE_SIZE,
            "temporal_patch_size": 2,
            "tokens_per_second": 2,
            "window_size": 112,  # pixels: one window up to 112 × 112, several beyond
            "fullatt_block_indexes": [2],
            "initializer_range": INITIAL_STD,
        },
        image_token_id=token_id("<|image_pad|>"),
        video_token_id=token_id("<|video_pad|>"),
        vision_start_token_id=token_id("<|vision_start|>"),
        vision_end_token_id=token_id("<|vision_end|>"),
        tie_word_embeddings=True,
        initializer_range=INITIAL_STD,
    )
