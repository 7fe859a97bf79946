"""Laws of the tables over seeds."""

from __future__ import annotations

import json
import sys

import pytest

from lmm_r1.errors import UserError
from lmm_r1.evaluation.seeds import main, read_summary, seed_tables


def summary(stage: str, seed: int, before: float, after: float) -> dict:
    def validation(accuracy: float) -> dict[str, float]:
        return {
            "validation/accuracy": accuracy,
            "validation/accuracy/text_only": accuracy + 0.1,
            "validation/accuracy/chain/text_only": 0.5,
            "validation/length": 30.0,
        }

    return {
        "stage": stage,
        "seed": seed,
        "parent": None,
        "model_path": "assets/tiny",
        "steps": 60,
        "wall_seconds": {"total": 300.0},
        "validation": {"initial": validation(before), "final": validation(after)},
        "git_commit": "0123456789abcdef",
    }


RUNS = [summary("fre", 2, 0.3, 0.54), summary("fre", 1, 0.3, 0.50), summary("fre", 3, 0.3, 0.61)]


def row(table: str, name: str) -> list[str]:
    line = next(line for line in table.splitlines() if line.startswith(f"| {name} "))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_gains_are_means_over_seeds_with_students_interval():
    """Gains of 20, 24 and 31 points: 25 ± 4.303 · 5.568 / √3."""
    cells = row(seed_tables(RUNS), "all")
    assert cells[1] == "30.0 ± 0.0"
    assert cells[3] == "+25.0 ± 13.8"
    assert cells[4] == "+20.0, +24.0, +31.0"


def test_renderings_have_rows_and_families_do_not():
    table = seed_tables(RUNS)
    assert row(table, "text_only")[1] == "40.0 ± 0.0"
    assert "chain" not in table
    assert "length" not in table


def test_one_seed_shows_no_interval():
    assert "±" not in seed_tables(RUNS[:1])


def test_each_stage_has_its_table_and_each_run_its_row():
    table = seed_tables([*RUNS, summary("mgt", 1, 0.2, 0.4)])
    assert table.index("### FRE, seeds 1, 2, 3") < table.index("### MGT, seeds 1") < table.index("### Runs")
    assert table.count("| fre |") == 3
    assert "| mgt | 1 | 60 | 5.0 | `assets/tiny` | 0123456 |" in table


def test_a_seed_given_twice_is_refused():
    with pytest.raises(UserError, match="stage fre: seeds 1, 1 repeat"):
        seed_tables([RUNS[1], RUNS[1]])


def test_runs_of_different_experiments_are_refused():
    other = summary("fre", 9, 0.1, 0.2)
    del other["validation"]["final"]["validation/accuracy/text_only"]
    with pytest.raises(UserError, match="different renderings"):
        seed_tables([*RUNS, other])


def test_a_run_without_validation_is_named():
    broken = summary("fre", 4, 0.1, 0.2) | {"validation": {"initial": {}, "final": {}}}
    with pytest.raises(UserError, match="fre run of seed 4 has no initial validation"):
        seed_tables([broken])


def test_an_unfinished_run_is_named_with_the_cure(tmp_path):
    with pytest.raises(UserError, match="resume="):
        read_summary(tmp_path)


def test_the_command_prints_the_tables_and_refuses_in_one_line(tmp_path, monkeypatch, capsys):
    for run in RUNS:
        (tmp_path / str(run["seed"])).mkdir()
        (tmp_path / str(run["seed"]) / "summary.json").write_text(json.dumps(run))
    monkeypatch.setattr(sys, "argv", ["seeds", *map(str, tmp_path.iterdir())])
    main()
    assert capsys.readouterr().out == seed_tables(RUNS)
    monkeypatch.setattr(sys, "argv", ["seeds", str(tmp_path / "none")])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "has not finished" in capsys.readouterr().err.splitlines()[-1]
