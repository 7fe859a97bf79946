"""Laws of what is logged about a step's rollouts."""

from __future__ import annotations

import lightning as L
import pytest
import torch

from lmm_r1.training.metrics_file import MetricsFile
from lmm_r1.training.rollout_metrics import REASONS, rollout_metrics
from lmm_r1.types import Completion, Group, Problem, Score
from tests.training.running import metrics as rows_of


@pytest.fixture(scope="module")
def trainer() -> L.Trainer:
    return L.Trainer(accelerator="cpu", devices=1, logger=False, enable_checkpointing=False)


def group(source: str, rendering: str, *outcomes: tuple[str, int, float]) -> Group:
    """One completion for each (reason, length, cosine)."""
    completions = [Completion((1,) * length, (0.0,) * length, "…", "stop", 0) for _, length, _ in outcomes]
    scores = []
    for reason, _, cosine in outcomes:
        right = float(reason == "ok")
        scores.append(Score(right + 0.5 * cosine, {"accuracy": right, "cosine": cosine}, reason == "ok", reason))
    problem = Problem(id="1", question="?", answer="5", source=source, rendering=rendering)
    return Group(problem, (1, 2, 3), completions, scores)


GROUPS = [
    group("gsm8k", "text_only", ("ok", 10, 0.8), ("wrong", 30, -0.6)),
    group("geometry", "image", ("timeout", 20, -0.5), ("ok", 40, 0.6)),
    group("geometry", "text_only", ("no_answer", 50, -0.7), ("wrong", 60, -0.9)),
]


def measured(trainer: L.Trainer, groups: list[Group]) -> dict[str, float]:
    silent = torch.zeros(len(groups), dtype=torch.bool)
    return rollout_metrics(trainer, groups, silent, {"verifier/claims": 6, "verifier/seconds": 0.5})


def test_every_term_is_logged_for_each_source_and_rendering(trainer):
    metrics = measured(trainer, GROUPS)
    for part, accuracy, cosine in (("gsm8k", 1 / 2, 0.1), ("geometry", 1 / 4, -0.375), ("text_only", 1 / 4, -0.35)):
        assert metrics[f"accuracy/{part}"] == metrics[f"reward/accuracy/{part}"] == accuracy
        assert metrics[f"reward/cosine/{part}"] == pytest.approx(cosine)
        assert metrics[f"reward/mean/{part}"] == pytest.approx(accuracy + 0.5 * cosine)
    assert metrics["accuracy/image"] == 0.5


@pytest.mark.parametrize("field", ["source", "rendering"])
def test_the_parts_add_up_to_the_total(trainer, field):
    metrics = measured(trainer, GROUPS)
    parts = [getattr(one.problem, field) for one in GROUPS]
    for name in ("reward/mean", "reward/accuracy", "reward/cosine", "accuracy"):
        weighted = sum(metrics[f"{name}/{part}"] for part in parts) / len(parts)
        assert weighted == pytest.approx(metrics[name]), name


def test_what_verifying_took_is_logged(trainer):
    metrics = measured(trainer, GROUPS)
    assert (metrics["verifier/claims"], metrics["verifier/seconds"]) == (6, 0.5)


def test_the_shares_of_the_verdicts_add_up_to_one(trainer):
    metrics = measured(trainer, [*GROUPS, group("gsm8k", "text_only", ("blocked", 1, 0.0), ("ok", 1, 0.0))])
    verdicts = {name: share for name, share in metrics.items() if name.startswith("verdict/")}
    assert sum(verdicts.values()) == pytest.approx(1.0)
    assert verdicts["verdict/timeout"] == verdicts["verdict/blocked"] == 1 / 8
    assert verdicts["verdict/killed"] == 0.0
    assert {f"verdict/{reason}" for reason in REASONS} <= set(verdicts)


def test_lengths_are_logged_by_correctness(trainer):
    metrics = measured(trainer, GROUPS)
    assert metrics["completion/length_correct"] == 25
    assert metrics["completion/length_wrong"] == 40
    assert metrics["completion/length"] == 35
    assert metrics["completion/tokens"] == 210


def test_what_a_step_did_not_measure_is_an_empty_cell(trainer, tmp_path):
    table = MetricsFile(tmp_path / "metrics.csv", keep_through=None)
    table.append(1, measured(trainer, GROUPS[:1]))
    table.append(2, measured(trainer, GROUPS[2:]))
    table.append(3, measured(trainer, GROUPS[:1]))
    first, second, third = rows_of(tmp_path)
    assert first.keys() == second.keys() == third.keys()
    assert first["reward/cosine/geometry"] == "" and float(second["reward/cosine/geometry"]) == pytest.approx(-0.8)
    assert second["completion/length_correct"] == "" and float(first["completion/length_correct"]) == 10
    assert {**first, "step": ""} == {**third, "step": ""}
