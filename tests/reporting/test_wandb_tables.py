"""Laws of the table of samples."""

from __future__ import annotations

import json

from PIL import Image

from lmm_r1.reporting import wandb_tables
from lmm_r1.reporting.wandb_tables import sample_table, side_by_side
from tests.reporting.handmade import make_group

GROUPS = [make_group(number, kind, [True, False]) for number in range(5) for kind in ("text_only", "vision_only")]


def test_wandb_is_imported_only_when_a_table_is_made():
    assert not hasattr(wandb_tables, "wandb")


def test_rows_are_bounded_and_come_from_different_problems():
    table = sample_table(GROUPS, 7, rows=6)
    problems = [row[table.columns.index("problem")] for row in table.data]
    assert len(problems) == len(set(problems)) == 6
    assert {row[0] for row in table.data} == {7}


def test_further_completions_fill_the_rows_that_are_left():
    assert len(sample_table(GROUPS[:2], 0, rows=3).data) == 3
    assert len(sample_table(GROUPS[:2], 0, rows=100).data) == 4
    assert sample_table([], 0, rows=3).data == []


def test_a_row_holds_figure_gold_completion_terms_and_verdict():
    table = sample_table(GROUPS[:2], 0, rows=2)
    text, vision = (dict(zip(table.columns, row, strict=True)) for row in table.data)
    assert text["figure"] is None
    assert vision["figure"].image.size == (84, 84)
    for row in (text, vision):
        assert (row["gold"], row["completion"]) == ("7", "<answer>1</answer>")
        assert (row["accuracy"], row["format"], row["reward"], row["correct"]) == (1.0, 1.0, 1.0, True)


def test_several_figures_of_a_problem_stand_side_by_side():
    row = side_by_side([Image.new("RGB", (10, 20), "red"), Image.new("RGB", (30, 5), "blue")])
    assert row.size == (40, 20)
    assert [row.getpixel(place) for place in ((0, 19), (10, 0), (10, 19))] == [(255, 0, 0), (0, 0, 255), (255,) * 3]


def test_the_table_is_logged_offline(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "data"))
    import wandb

    with wandb.init(dir=tmp_path, project="test") as run:
        run.log({"samples": sample_table(GROUPS, 1, rows=4), "step": 1})
    tables = list(tmp_path.rglob("*.table.json"))
    assert len(tables) == 1
    assert len(json.loads(tables[0].read_text())["data"]) == 4
    staged = [path.read_bytes()[:4] for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert staged.count(b"\x89PNG") == 2
