"""Laws of the table of algorithms."""

from __future__ import annotations

import json
import sys

import pytest

from lmm_r1.errors import UserError
from lmm_r1.evaluation.algorithms import algorithm_table, main


def summary(algorithm: str | None, seed: int, before: float, after: float, **changes) -> dict:
    return {
        "stage": "fre",
        "algorithm": algorithm,
        "seed": seed,
        "model_path": "models/tiny",
        "data_hash": "abc",
        "steps": 40,
        "wall_seconds": {"total": 120.0},
        "validation": {"initial": {"validation/accuracy": before}, "final": {"validation/accuracy": after}},
    } | changes


RUNS = [
    summary("grpo", 2, 0.3, 0.54),
    summary("ppo", 1, 0.3, 0.35, wall_seconds={"total": 240.0}),
    summary("grpo", 1, 0.3, 0.50),
    summary("grpo", 3, 0.3, 0.61),
]


def test_a_row_is_an_algorithm_with_gains_over_seeds():
    """Gains of 20, 24 and 31 points: 25 ± 4.303 · 5.568 / √3."""
    grpo, ppo = algorithm_table(RUNS).splitlines()[2:]
    assert grpo == "| grpo | 1, 2, 3 | 30.0 ± 0.0 | 55.0 ± 13.8 | +25.0 ± 13.8 | +20.0, +24.0, +31.0 | 2.0 |"
    assert ppo == "| ppo | 1 | 30.0 | 35.0 | +5.0 | +5.0 | 4.0 |"


def test_the_order_of_runs_does_not_matter():
    assert algorithm_table(RUNS) == algorithm_table(RUNS[::-1])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (summary("grpo", 1, 0.3, 0.4), "seeds 1, 1, 2, 3 repeat"),
        (summary("rloo", 1, 0.3, 0.4, steps=60), "differ in steps: 40, 60"),
        (summary("rloo", 1, 0.3, 0.4, data_hash="def"), "differ in data_hash"),
        (summary(None, 1, 0.3, 0.4), "names no algorithm"),
        (summary("rloo", 1, 0.3, 0.4, validation={"initial": {}, "final": {}}), "has no initial validation"),
    ],
)
def test_what_cannot_be_compared_is_refused(other, message):
    with pytest.raises(UserError, match=message):
        algorithm_table([*RUNS, other])


def test_the_command_prints_the_table_of_finished_runs(tmp_path, monkeypatch, capsys):
    folders = []
    for number, run in enumerate(RUNS):
        folders.append(tmp_path / str(number))
        folders[-1].mkdir()
        (folders[-1] / "summary.json").write_text(json.dumps(run))
    monkeypatch.setattr(sys, "argv", ["algorithms", *map(str, folders)])
    main()
    assert capsys.readouterr().out == algorithm_table(RUNS)
