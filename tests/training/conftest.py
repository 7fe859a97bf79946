"""A random tiny policy and experiences made by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lmm_r1.data.synthetic import SyntheticDataset
from lmm_r1.models.loading import load_config, load_policy, load_processor
from lmm_r1.models.prompts import banned_token_ids, render_prompt
from lmm_r1.models.tiny import build_tiny
from lmm_r1.types import Completion, Group, Score


@pytest.fixture(scope="session")
def random_model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    build_tiny(folder, ["3 + 4 = 7.", "I see red circle."], seed=0, spare_rows=7)
    return folder


@pytest.fixture
def policy(random_model):
    return load_policy(str(random_model), "float32")


@pytest.fixture(scope="session")
def processor(random_model):
    return load_processor(str(random_model), None, None)


@pytest.fixture(scope="session")
def banned(random_model, processor):
    return banned_token_ids(processor, load_config(str(random_model)))


@pytest.fixture(scope="session")
def make_groups(processor):
    """P groups of G completions of random tokens and lengths, half of the problems with a picture."""

    def make(count: int, samples: int, seed: int = 0, renderings=("text_only", "vision_only")) -> list[Group]:
        data = SyntheticDataset("validation", count, ["chain"], list(renderings), (3, 4), 84, seed)
        generator = torch.Generator().manual_seed(seed)

        def number(low: int, high: int) -> int:
            return int(torch.randint(low, high, (), generator=generator))

        groups = []
        for index in range(count):
            problem = data[index]
            prompt = processor(
                text=[render_prompt(processor, problem, None)],
                images=list(problem.images) or None,
                return_tensors="pt",
            )
            completions, scores = [], []
            for _ in range(samples):
                length = number(2, 12)
                ids = tuple(number(20, 200) for _ in range(length))
                logprobs = tuple(-1.0 - number(0, 100) / 50 for _ in range(length))
                completions.append(Completion(ids, logprobs, "…", "stop", 0))
                accuracy, kept = float(number(0, 2)), float(length % 2)
                breakdown = {"accuracy": accuracy, "format": kept}
                scores.append(Score(accuracy + 0.5 * kept, breakdown, accuracy == 1, "ok"))
            groups.append(Group(problem, tuple(prompt["input_ids"][0].tolist()), completions, scores))
        return groups

    return make
