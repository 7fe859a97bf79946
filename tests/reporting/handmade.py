"""A run's folder made by hand, as training leaves it."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from PIL import Image

from lmm_r1.rollout.store import RolloutStore
from lmm_r1.types import Completion, Group, Problem, Score

HOSTILE = "<script>alert('x')</script> & <answer>7</answer>"
"""A completion that would do harm in a page that does not escape it."""


def make_group(number: int, rendering: str, right: list[bool], text: str = "<answer>1</answer>") -> Group:
    pictures = () if rendering == "text_only" else (Image.new("RGB", (84, 84), (number, 200, 100)),)
    problem = Problem(
        id=f"chain-{number}/{rendering}",
        question="<image>Is 1 < 2?" if pictures else "Is 1 < 2?",
        answer="7",
        images=pictures,
        source="made",
        family="chain",
        rendering=rendering,
    )
    completions = [Completion((1, 2, 3), (-0.5, -0.5, -0.5), text, "stop", 0) for _ in right]
    scores = [
        Score(float(good), {"accuracy": float(good), "format": 1.0}, good, "ok" if good else "no_answer")
        for good in right
    ]
    return Group(problem, (1, 2), completions, scores)


def write_metrics(folder: Path, steps: int, start: float = 0.2) -> None:
    """Step 0 is the first validation; every second step is validated."""
    rows = []
    for step in range(steps + 1):
        row: dict[str, float] = {"step": step}
        if step:
            row |= {
                "reward/mean": 0.1 * step,
                "accuracy": 0.05 * step,
                "reward/format": 0.9,
                "completion/length": 30.0,
                "policy/kl": 0.001 * step,
                "policy/entropy": 1 / step,
                "time/rollout": 3.0,
                "time/update": 1.0,
            }
        if step % 2 == 0:
            row |= {
                "validation/accuracy": start + 0.02 * step,
                "validation/accuracy/text_only": start + 0.03 * step,
                "validation/accuracy/vision_only": start + 0.01 * step,
                "validation/accuracy/chain/vision_only": start,
            }
        rows.append(row)
    pd.DataFrame(rows).to_csv(folder / "metrics.csv", index=False)


def write_run(folder: Path) -> None:
    """A finished MGT run of six steps."""
    write_metrics(folder, steps=6)
    rollouts, validation = RolloutStore(folder / "rollouts"), RolloutStore(folder / "validation")
    for step in (0, 3, 5):
        groups = [make_group(10 * step + number, "vision_only", [True, False, True, False]) for number in range(8)]
        rollouts.write(groups, step=step, rank=0)
    rollouts.write([make_group(99, "text_only", [True, False], HOSTILE)], step=5, rank=1)
    for step, right in ((0, False), (6, True)):
        groups = [make_group(200, rendering, [right]) for rendering in ("text_only", "vision_only")]
        validation.write(groups, step=step, rank=0)
    summary = {
        "stage": "mgt",
        "seed": 11,
        "parent": "outputs/fre/2029-12-31_00-00-00",
        "steps": 6,
        "wall_seconds": {"total": 431.0, "rollout": 300.0, "update": 90.0},
        "versions": {"torch": "2.13.0"},
        "git_commit": "4c617e7",
        "config_hash": "c" * 64,
        "data_hash": "d" * 64,
        "model_path": "outputs/fre/2029-12-31_00-00-00/export",
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "config.yaml").write_text("stage: mgt\nnote: a < b\n")
