"""Both stages, one after the other, and what they leave."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from hydra.utils import instantiate

from lmm_r1.cli.run_folder import read_config
from lmm_r1.models.architecture import architecture_of
from lmm_r1.rollout.store import RolloutStore
from lmm_r1.training.plan_disk import checkpoint_bytes
from lmm_r1.training.plan_memory import counts
from lmm_r1.training.room import least_numbers
from tests.running import run, run_afresh
from tests.training.running import SMALL, checkpoint, metrics, train, weights
from tests.training.test_plan import plan_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def outputs(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("outputs")
    for stage in ("fre", "mgt"):
        train(f"stage={stage}", *SMALL, f"output_root={root}")
    return root


@pytest.fixture(scope="module")
def fre(outputs) -> Path:
    return (outputs / "fre" / "latest").resolve()


@pytest.fixture(scope="module")
def mgt(outputs) -> Path:
    return (outputs / "mgt" / "latest").resolve()


def summary(folder: Path) -> dict:
    return json.loads((folder / "summary.json").read_text())


def test_mgt_goes_on_from_fre_and_says_so(fre, mgt):
    assert summary(fre)["parent"] is None
    assert Path(summary(mgt)["parent"]).resolve() == fre
    first, last = weights(mgt, 1), weights(fre, 2)
    # One step away from where FRE ended, and not where FRE began.
    far = (first["policy.model.language_model.norm.weight"] - last["policy.model.language_model.norm.weight"]).abs()
    assert 0 < far.max() < 5e-3


def test_the_room_that_a_run_asks_for_is_what_it_takes(fre, mgt):
    model = instantiate(read_config(fre)["model"], _convert_="all")
    numbers = least_numbers(counts(architecture_of(str(fre / "export")), model), model)
    sizes = [size(run / "checkpoints" / "step_000002.ckpt") for run in (fre, mgt)]
    held = sum(entry.nbytes for entry in checkpoint(fre, 2).values() if hasattr(entry, "nbytes"))
    assert held == pytest.approx(checkpoint_bytes(numbers, model, None), rel=0.01)
    assert held < sizes[0] < 1.05 * held
    # With pictures the vision tower has moments too.
    assert sizes[1] > 1.2 * sizes[0]


@pytest.mark.parametrize("stage", ["fre", "mgt"])
def test_a_run_leaves_what_it_promises(stage, request):
    folder = request.getfixturevalue(stage)
    for name in ("config.yaml", "metrics.csv", "summary.json", "report.html", "export/model.safetensors"):
        assert (folder / name).stat().st_size > 0, name
    found = summary(folder)
    assert found["stage"] == stage and found["steps"] == 2 and found["seed"] == 0
    assert {"total", "start", "sync", "rollout", "reward", "update", "validation"} <= found["wall_seconds"].keys()
    assert {"device_seconds", "share", "mfu", "peak_memory_gb", "update_flops"} <= found["machine"].keys()
    assert sum(found["machine"]["share"].values()) == pytest.approx(1)
    assert "validation/accuracy/vision_only" in found["validation"]["final"]
    assert len(found["config_hash"]) == len(found["data_hash"]) == 64
    assert found["versions"]["torch"] and "git_commit" in found
    assert [row["step"] for row in metrics(folder)] == ["0", "1", "2"]
    assert "<svg" in (folder / "report.html").read_text() or "data:image/png" in (folder / "report.html").read_text()


def size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return sum(file.stat().st_size for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file())


def test_checkpoints_and_export_take_the_room_that_is_planned(mgt):
    planned = plan_of("stage=mgt", "trainer.keep_checkpoints=2").disk
    (*_, newest) = sorted((mgt / "checkpoints").iterdir())
    assert 3 * size(newest) == pytest.approx(planned["checkpoints"], rel=0.05)
    assert size(mgt / "export" / "model.safetensors") == pytest.approx(planned["export"], rel=0.05)


@pytest.mark.parametrize("stage", ["fre", "mgt"])
def test_every_training_completion_carries_the_current_weights(stage, request):
    store = RolloutStore(request.getfixturevalue(stage) / "rollouts")
    assert store.steps() == [0, 1]
    for step in store.steps():
        groups = store.read_step(step)
        assert {completion.weight_version for group in groups for completion in group.completions} == {step}


@pytest.mark.parametrize("stage", ["fre", "mgt"])
def test_sampler_and_trainer_agree_on_every_token(stage, request):
    for row in metrics(request.getfixturevalue(stage))[1:]:
        assert float(row["policy/sampler_difference"]) < 1e-3


def test_each_stage_trains_on_its_own_renderings(fre, mgt):
    def renderings(folder: Path) -> set[str]:
        frames = [pd.read_parquet(path) for path in (folder / "rollouts").glob("*.parquet")]
        return set(pd.concat(frames)["rendering"])

    assert renderings(fre) == {"text_only"}
    assert "text_only" not in renderings(mgt)


@pytest.mark.parametrize("engine", ["vllm", "transformers"])
def test_the_export_gives_the_same_greedy_answers_in_a_fresh_process(fre, engine, tmp_path):
    run_afresh(
        "eval.py",
        f"model.path={fre / 'export'}",
        "benchmark=synthetic",
        "benchmark.split=validation",
        "benchmark.size=2",
        f"rollout={engine}",
        "rollout.max_new_tokens=16",
        f"output_root={tmp_path}",
    )
    shards = list(tmp_path.rglob("step-*.parquet"))
    assert shards
    fresh = pd.concat(pd.read_parquet(path) for path in shards).set_index("problem")["text"].to_dict()
    stored = pd.read_parquet(next((fre / "validation").glob("step-000002*"))).set_index("problem")["text"].to_dict()
    assert fresh == stored


def test_a_stored_run_can_be_trained_again_without_an_engine(fre, tmp_path):
    train("stage=fre", *SMALL, f"output_root={tmp_path}", "rollout=replay", f"rollout.engine.folder={fre}")
    again = (tmp_path / "fre" / "latest").resolve()
    assert metrics(again) == metrics(fre)
    first, second = weights(fre, 2), weights(again, 2)
    assert all((first[name] == second[name]).all() for name in first)


def test_a_run_whose_data_has_changed_is_not_resumed_and_stays_as_it_was(fre, tmp_path):
    folder = tmp_path / "fre" / fre.name
    shutil.copytree(fre, folder)
    lineage = json.loads((folder / "lineage.json").read_text())
    assert [part["first_step"] for part in lineage] == [0]
    (folder / "lineage.json").write_text(json.dumps([lineage[0] | {"data": "of other rows"}]))
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    output = run("train.py", f"resume={folder}", "trainer.steps=3", f"output_root={tmp_path}", expect=2)
    assert "the training data (dataset) is not what the run was made with so far" in output
    assert read_config(folder)["trainer"]["steps"] == 2
    after = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert {name for name in after if after[name] != before.get(name)} <= {"train.log", "config.yaml", ".lock"}
    assert not (tmp_path / "fre" / "latest").exists()
