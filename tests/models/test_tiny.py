"""The tiny model is the real architecture, small, complete on disk and reproducible."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForImageTextToText, AutoProcessor, Qwen2_5_VLForConditionalGeneration

from lmm_r1.models.tiny import build_tiny, tiny_config
from lmm_r1.models.tokenizer import RESPONSE_TAGS, SPECIAL_TOKENS, VOCABULARY_SIZE, train_tokenizer


@pytest.fixture(scope="module")
def tokenizer(processor):
    """As it comes back from disk, not as it was trained."""
    return processor.tokenizer


def fingerprints(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def round_trip(tokenizer):
    return lambda text: tokenizer.decode(tokenizer.encode(text))


def test_any_text_round_trips(round_trip) -> None:
    @given(st.text())
    def law(text: str) -> None:
        assert round_trip(text) == text

    law()


def test_text_that_unicode_would_normalise_round_trips(round_trip) -> None:
    text = "e\u0301 ① ² \u212b  .  ,  ' s \r\n\t"
    assert round_trip(text) == text


def test_every_digit_is_one_token(tokenizer) -> None:
    pieces = [tokenizer.decode([token]) for token in tokenizer.encode("31415926 = 27.18 + 100")]
    assert all(len(piece.strip()) <= 1 for piece in pieces if any(map(str.isdigit, piece)))
    assert [piece for piece in pieces if piece.isdigit()] == list("314159262718100")


def test_special_tokens_vanish_from_decoded_text_and_response_tags_stay(tokenizer) -> None:
    response = "<think>a</think><answer>b</answer>"
    ids = tokenizer.encode("".join(SPECIAL_TOKENS) + response)
    assert tokenizer.decode(ids, skip_special_tokens=True) == response
    for token in SPECIAL_TOKENS + RESPONSE_TAGS:
        assert len(tokenizer.encode(token)) == 1


def test_vocabulary_stays_within_its_bound_whatever_the_corpus() -> None:
    rich_corpus = ["".join(letters) for letters in itertools.product("aeiou", "bdfgklmnprst", "aeiou", "xyz")] * 2
    assert len(train_tokenizer(rich_corpus)) == VOCABULARY_SIZE
    assert len(train_tokenizer([])) == 256 + len(SPECIAL_TOKENS) + len(RESPONSE_TAGS)


def test_the_model_has_one_to_three_million_parameters(policy) -> None:
    assert 1e6 < sum(parameter.numel() for parameter in policy.parameters()) < 3e6


def test_the_head_is_tied_to_the_embedding(policy) -> None:
    assert policy.lm_head.weight is policy.get_input_embeddings().weight


def test_every_token_has_an_embedding_and_every_embedding_but_the_spare_ones_a_token(policy, tokenizer) -> None:
    assert policy.get_input_embeddings().weight.shape[0] == len(tokenizer) + 7
    assert tiny_config(tokenizer, spare_rows=0).get_text_config().vocab_size == len(tokenizer)


def test_auto_classes_load_the_folder(tiny_folder: Path) -> None:
    model = AutoModelForImageTextToText.from_pretrained(tiny_folder)
    processor = AutoProcessor.from_pretrained(tiny_folder)
    assert isinstance(model, Qwen2_5_VLForConditionalGeneration)
    assert type(processor).__name__ == "Qwen2_5_VLProcessor"
    assert model.generation_config.eos_token_id == processor.tokenizer.eos_token_id
    assert processor.tokenizer.eos_token == "<|im_end|>"
    assert model.config.image_token_id == processor.image_token_id


def test_the_same_seed_builds_the_same_files(tiny_folder: Path, corpus: list[str], tmp_path: Path) -> None:
    torch.rand(3)  # whatever the global random state
    build_tiny(tmp_path / "again", corpus, seed=1, spare_rows=7)
    assert fingerprints(tmp_path / "again") == fingerprints(tiny_folder)


def test_another_seed_builds_other_weights(tiny_folder: Path, corpus: list[str], tmp_path: Path) -> None:
    build_tiny(tmp_path / "other", corpus, seed=2, spare_rows=7)
    ours, theirs = fingerprints(tiny_folder), fingerprints(tmp_path / "other")
    assert [name for name in ours if ours[name] != theirs[name]] == ["model.safetensors"]


def test_building_leaves_the_random_state_alone(corpus: list[str], tmp_path: Path) -> None:
    before = torch.get_rng_state()
    build_tiny(tmp_path / "model", corpus, seed=3)
    assert torch.equal(before, torch.get_rng_state())
