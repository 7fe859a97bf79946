"""The formulas of parameters and bytes agree with the models themselves."""

from __future__ import annotations

import json

import pytest
import torch
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from lmm_r1.errors import UserError
from lmm_r1.models.architecture import PUBLISHED, architecture_of, parse_config
from lmm_r1.models.costs import (
    adapter_parameters,
    key_value_bytes,
    parameters,
    vision_flops,
)
from lmm_r1.models.loading import LoraSettings, load_policy

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def on_meta_device(path: str) -> Qwen2_5_VLForConditionalGeneration:
    """The real model without memory, its sizes as published."""
    flat = dict(PUBLISHED[path])
    vision, tied = flat.pop("vision_config"), flat["tie_word_embeddings"]
    config = Qwen2_5_VLConfig(text_config=flat, vision_config=vision, tie_word_embeddings=tied)
    with torch.device("meta"):
        return Qwen2_5_VLForConditionalGeneration(config)


def test_parameters_are_those_of_the_tiny_model(policy, tiny_folder):
    counted = parameters(architecture_of(str(tiny_folder)))
    assert counted.language == sum(tensor.numel() for tensor in policy.model.language_model.parameters())
    assert counted.vision == sum(tensor.numel() for tensor in policy.model.visual.parameters())
    assert counted.head == 0


@pytest.mark.parametrize("path", PUBLISHED)
def test_parameters_are_those_of_the_published_models(path):
    model, counted = on_meta_device(path), parameters(architecture_of(path))
    assert counted.language == sum(tensor.numel() for tensor in model.model.language_model.parameters())
    assert counted.vision == sum(tensor.numel() for tensor in model.model.visual.parameters())
    tied = PUBLISHED[path]["tie_word_embeddings"]
    assert counted.head == (0 if tied else model.lm_head.weight.numel())


def test_the_3b_model_has_the_sizes_that_are_known_of_it():
    architecture = architecture_of("Qwen/Qwen2.5-VL-3B-Instruct")
    counted = parameters(architecture)
    assert counted.language == pytest.approx(3.09e9, rel=2e-3)
    assert counted.vision == pytest.approx(0.67e9, rel=3e-3)
    assert key_value_bytes(architecture.text, 2) == 36_864
    # Four patches make a visual token; a large square image, attention included.
    per_token = vision_flops(architecture.vision, [(1, 40, 40)]) / 400
    assert 5.0e9 < per_token < 6.0e9


@pytest.mark.parametrize("freeze_vision", [False, True])
def test_adapters_are_counted_as_peft_places_them(tiny_folder, freeze_vision):
    settings = LoraSettings(rank=4, alpha=8, dropout=0.0, target_modules=LINEAR)
    policy = load_policy(str(tiny_folder), "float32", freeze_vision=freeze_vision, lora=settings)
    trained = sum(tensor.numel() for tensor in policy.parameters() if tensor.requires_grad)
    assert adapter_parameters(architecture_of(str(tiny_folder)), 4, LINEAR, vision=not freeze_vision) == trained


def test_windows_cost_what_full_attention_does_for_an_image_of_one_window():
    vision = architecture_of("Qwen/Qwen2.5-VL-3B-Instruct").vision
    small, twice = vision_flops(vision, [(1, 8, 8)]), vision_flops(vision, [(1, 8, 8)] * 2)
    assert twice == 2 * small
    # Four windows in one image: only the layers with full attention see more.
    extra = vision_flops(vision, [(1, 16, 16)]) - 4 * small
    assert extra == 4 * vision.hidden * vision.full_layers * (256**2 - 4 * 64**2)


def test_a_model_without_config_is_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match=r"config\.json"):
        architecture_of(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(UserError, match="holds a llama"):
        architecture_of(str(tmp_path))


def test_both_layouts_of_a_config_mean_the_same():
    flat = dict(PUBLISHED["Qwen/Qwen2.5-VL-3B-Instruct"])
    nested = {
        "model_type": "qwen2_5_vl",
        "tie_word_embeddings": True,
        "vision_config": flat["vision_config"],
        "text_config": {name: value for name, value in flat.items() if name != "vision_config"},
    }
    assert parse_config(flat, "flat") == parse_config(nested, "nested")
