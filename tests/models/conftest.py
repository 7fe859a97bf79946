"""A tiny random model and a few problems, shared by this room's tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lmm_r1.models.loading import load_policy, load_processor
from lmm_r1.models.tiny import build_tiny
from lmm_r1.types import Problem


@pytest.fixture(scope="session")
def corpus() -> list[str]:
    sums = [
        f"What is {a} + {b}? <think>{a} + {b} = {a + b}</think><answer>{a + b}</answer>"
        for a in range(9)
        for b in range(9)
    ]
    return [*sums, "How many red circles are in the picture?", "Read the numbers in the grid from left to right."]


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory, corpus: list[str]) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    build_tiny(folder, corpus, seed=1, spare_rows=7)
    return folder


@pytest.fixture(scope="session")
def processor(tiny_folder: Path):
    return load_processor(str(tiny_folder), None, None)


@pytest.fixture
def policy(tiny_folder: Path):
    return load_policy(str(tiny_folder), "float32")


@pytest.fixture(scope="session")
def text_problem() -> Problem:
    return Problem(id="text", question="What is 3 + 4?", answer="7")


@pytest.fixture(scope="session")
def image_problem() -> Problem:
    """Two images of different sizes: visual tokens in 4 × 5 and in 2 × 3."""
    noise = np.random.default_rng(0)
    sizes = [(112, 140, 3), (60, 90, 3)]
    images = tuple(Image.fromarray(noise.integers(0, 256, size, dtype=np.uint8)) for size in sizes)
    return Problem(id="image", question="Which of <image> and <image> is larger?", answer="A", images=images)
