"""The measurements run, and count what they say they count."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.running import run


@pytest.fixture
def measured(repository: Path):
    """One update of two groups with two completions each, and the facts of a model of round numbers."""
    sys.path.insert(0, str(repository / "perf"))
    try:
        from gpu_report import Measured, Workload
    finally:
        sys.path.pop(0)
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
        prompt_lengths=(10, 10),
        completion_lengths=(5, 5, 5, 5),
        metrics={},
    )


FACTS = {
    "parameters": {"language": 100, "head": 10, "vision": 7},
    "attention_width": 3,
    "patches_of_a_token": 4,
    "peak_flops": 1e6,
}


def test_the_work_of_an_update_counts_prompts_once_and_the_head_for_sampled_tokens(measured) -> None:
    products = 6 * (100 * (2 * 10 + 4 * 5) + 10 * 4 * 5 + 7 * 2 * 6 * 4)
    pairs = 2 * 10**2 / 2 + 4 * (10 * 5 + 5**2 / 2)
    assert measured.update_flops(FACTS) == products + 12 * 3 * pairs


def test_logical_tokens_count_the_prompt_of_every_completion(measured) -> None:
    figures = measured.figures(FACTS)
    assert figures["logical tokens/s"] == (4 * 10 + 4 * 5) / 4.0
    assert figures["tokens/s of the engine"] == 4 * 5 / 2.0
    assert figures["MFU of the update"] == measured.update_flops(FACTS) / 1e6


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
        assert each["prompt_lengths"] == [prompt_tokens] * workload["prompts"]
        assert each["completion_lengths"] == [workload["new_tokens"]] * workload["prompts"] * workload["samples"]
        if each["kind"] == "step":
            assert each["metrics"]["policy/sampler_difference"] < 1e-4
