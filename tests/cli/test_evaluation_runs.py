"""A real evaluation through `eval.py`, as small as it gets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from lmm_r1.cli.run_folder import read_config
from lmm_r1.data.synthetic import TraceDataset
from lmm_r1.models.tiny import build_tiny
from lmm_r1.rollout.store import RolloutStore
from tests.running import run

pytestmark = pytest.mark.slow

SMALL = ("benchmark.size=3", "batch_size=6", "rollout.max_new_tokens=8", "rollout=transformers")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A tiny model with random weights, behind a link."""
    traces = TraceDataset("train", 100, ["chain", "grid"], ["text_only", "text_lite"], (2, 4), 84, 0)
    folder = tmp_path_factory.mktemp("model")
    (folder / "link").symlink_to("weights")
    build_tiny(folder / "weights", (trace for _, trace in map(traces.__getitem__, range(100))), 0)
    return folder / "link"


def test_an_evaluation_can_be_continued_and_scored_again(model, repository, tmp_path):
    def evaluate(*overrides: str, expect: int = 0) -> str:
        return run(str(repository / "eval.py"), *overrides, folder=tmp_path, expect=expect)

    assert "vision_only" in evaluate(f"model.path={model}", *SMALL)
    folder = tmp_path / "outputs" / "eval" / "latest"
    first = json.loads((folder / "results.json").read_text())
    config = read_config(folder)
    assert config["model"]["path"] == str(model.resolve())

    shards = sorted((folder / "completions").glob("*.parquet"))
    shards[1].unlink()
    (folder / "results.json").unlink()
    evaluate("resume=latest")
    assert json.loads((folder / "results.json").read_text()) == first
    assert sorted((folder / "completions").glob("*.parquet")) == shards
    assert read_config(folder) == config

    weights = model.resolve() / "model.safetensors"
    stored = weights.read_bytes()
    weights.write_bytes(stored[:-4] + b"\x3f\x00\x00\x00")
    assert "generated with another provenance: weights" in evaluate("resume=latest", expect=2)
    weights.write_bytes(stored)

    evaluate("rescore=latest", "reward=accuracy_only")
    assert json.loads((folder / "results.json").read_text()) == first
    stored = yaml.safe_load((folder / "config.yaml").read_text())
    assert stored["reward"]["weights"]["format"] == 0.0
    assert {**stored, "reward": config["reward"]} == config
    assert len(list(folder.parent.iterdir())) == 2


def test_pictures_can_be_taken_away_and_the_two_compared(model, repository, tmp_path):
    stores = {}
    for images in ("as_given", "blank"):
        chosen = (f"images={images}", f"output_root={images}")
        run(str(repository / "eval.py"), f"model.path={model}", *SMALL, *chosen, folder=tmp_path)
        folder = tmp_path / images / "eval" / "latest"
        store = RolloutStore(folder / "completions")
        stores[images] = [group for step in store.steps() for group in store.read_step(step)]
        assert read_config(folder)["images"] == images
    for before, after in zip(*stores.values(), strict=True):
        assert [image.size for image in before.problem.images] == [image.size for image in after.problem.images]
        assert all(len(image.getcolors()) == 1 for image in after.problem.images)
        if not before.problem.images:
            assert before == after
    folders = [str(tmp_path / images / "eval" / "latest") for images in stores]
    assert "vision_only" in run("-m", "lmm_r1.evaluation.compare", *folders, folder=tmp_path)
