"""Equality with other trainers' own code. `make conformance` installs it; where it is absent, these tests skip."""

from __future__ import annotations

from pathlib import Path

import pytest

import lmm_r1.models  # noqa: F401  makes broken builds of torchvision and torchaudio bearable before TRL meets them
from lmm_r1.models.loading import load_processor
from lmm_r1.models.tiny import build_tiny


@pytest.fixture(scope="session")
def random_model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    build_tiny(folder, ["3 + 4 = 7.", "I see red circle."], seed=0)
    return folder


@pytest.fixture(scope="session")
def processor(random_model):
    return load_processor(str(random_model), None, None)
