"""A tiny random model, and problems without, with one and with two images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lmm_r1.models.loading import load_policy, load_processor
from lmm_r1.models.tiny import build_tiny
from lmm_r1.types import Problem


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rollout") / "tiny"
    build_tiny(folder, [f"What is {a} + {b}? It is {a + b}." for a in range(9) for b in range(9)], seed=1, spare_rows=7)
    # What a published model may bring, and what must not bend the distribution that is sampled.
    own = {
        "do_sample": True,
        "temperature": 0.1,
        "top_k": 2,
        "top_p": 0.5,
        "repetition_penalty": 1.5,
        "min_new_tokens": 3,
    }
    # An end besides the tokenizer's: either ends a completion.
    end = load_processor(str(folder), None, None).tokenizer.pad_token_id
    (folder / "generation_config.json").write_text(json.dumps(own | {"eos_token_id": [end]}))
    return folder


@pytest.fixture(scope="session")
def processor(tiny_folder: Path):
    return load_processor(str(tiny_folder), None, 112 * 112)


@pytest.fixture
def policy(tiny_folder: Path):
    return load_policy(str(tiny_folder), "float32").eval()


@pytest.fixture(scope="session")
def problems() -> list[Problem]:
    noise = np.random.default_rng(0)

    def picture(height: int, width: int) -> Image.Image:
        return Image.fromarray(noise.integers(0, 256, (height, width, 3), dtype=np.uint8))

    one, two = (picture(112, 140),), (picture(60, 90), picture(84, 56))
    return [
        Problem("text", "What is 3 + 4?", "7"),
        Problem("one image", "<image>What is it?", "A", images=one),
        Problem("two images", "Which of <image> and <image> is larger?", "A", images=two),
    ]
