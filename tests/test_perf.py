"""The measurements run, and count what they say they count."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmm_r1.training.step_costs import StepShape
from tests.running import run


@pytest.fixture
def scripts(repository: Path, monkeypatch) -> None:
    """The measurements can be imported."""
    monkeypatch.syspath_prepend(str(repository / "perf"))


@pytest.fixture
def measured(scripts):
    """One step of two groups with two completions each."""
    from gpu_report import Measured, Workload

    workload = Workload("MGT", prompts=2, samples=2, text_tokens=4, image=(2, 3), new_tokens=5)
    return Measured(
        workload=workload,
        kind="step",
        attention="sdpa",
        checkpointing=False,
        counts=True,
        seeds=True,
        seconds=4.0,
        phases={"rollout": 2.0, "update": 1.0},
        peak_bytes=None,
        shape=StepShape(prompts=(10, 10), completions=((5, 5), (5, 5)), images=(((1, 4, 6),), ((1, 4, 6),))),
        flops=300,
        metrics={},
    )


def test_logical_tokens_count_the_prompt_of_every_completion(measured) -> None:
    figures = measured.figures(peak_flops=1e3)
    assert figures["logical tokens/s"] == (4 * 10 + 4 * 5) / 4.0
    assert figures["tokens/s of the engine"] == 4 * 5 / 2.0
    assert figures["MFU of the update"] == 0.3


def test_an_exponent_is_of_the_last_doubling_of_the_work(scripts) -> None:
    from scaling import Growth

    prompts = Growth("prompts", "prompts", (8, 16, 32))
    assert prompts.exponent([7.0, 1.0, 2.0]) == pytest.approx(1)
    assert prompts.exponent([7.0, 1.0, 4.0]) == pytest.approx(2)
    # Twice the side of a picture is four times its tokens.
    assert Growth("side", "side", (224, 448)).exponent([1.0, 4.0]) == pytest.approx(1)


def test_the_measurement_of_storing_runs(scripts, monkeypatch, capsys) -> None:
    import rollout_store

    monkeypatch.setattr(rollout_store, "SIZE", (800, 600))
    monkeypatch.setattr("sys.argv", ["rollout_store.py", "--prompts", "2", "--rounds", "1", "--pause", "0"])
    rollout_store.main()
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines() if line.startswith("|")][2:]
    assert [(row[1].strip(), row[2].strip()) for row in rows] == [
        (pictures, way)
        for pictures in ("new pictures", "pictures that are stored already")
        for way in ("whole", "preview")
    ]
    whole, preview, *_ = (float(row[5].split()[0]) for row in rows)
    assert whole > 10 * preview


def test_saving_is_measured_in_every_way(scripts, tmp_path: Path, monkeypatch, capsys) -> None:
    import checkpoint

    for name in ("MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "LOCAL_RANK", "NODE_RANK"):
        monkeypatch.setenv(name, "")
    checkpoint.measure(0, 1, "0", matrices=1, rounds=1, folder=tmp_path)
    measured = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert measured["bytes"] == {"all": 3 * 4 * 1024**2, "moments": 2 * 4 * 1024**2}
    assert measured["ways"].keys() == checkpoint.WAYS.keys()
    written = sum(path.stat().st_size for path in (tmp_path / "ours").rglob("*.distcp"))
    assert written == pytest.approx(measured["bytes"]["all"], rel=0.01)


@pytest.mark.slow
def test_the_measurement_of_a_gpu_runs_on_a_cpu(repository: Path, tmp_path: Path) -> None:
    report = tmp_path / "gpu.md"
    run("perf/gpu.py", "--size", "tiny", "--device", "cpu", "--report", str(report))
    assert "## Whole steps" in report.read_text() and "## The update alone" in report.read_text()
    measured = json.loads(report.with_suffix(".json").read_text())["measured"]
    assert {(each["workload"]["name"], each["kind"]) for each in measured} == {
        (name, kind) for name in ("FRE", "MGT") for kind in ("update", "step")
    }
    for each in measured:
        workload = each["workload"]
        image = workload["image"] or (0, 0)
        prompt_tokens = workload["text_tokens"] + image[0] * image[1]
        assert each["shape"]["prompts"] == [prompt_tokens] * workload["prompts"]
        assert each["shape"]["completions"] == [[workload["new_tokens"]] * workload["samples"]] * workload["prompts"]
        assert each["flops"] > 0
        if each["kind"] == "step":
            assert each["metrics"]["policy/sampler_difference"] < 1e-4
