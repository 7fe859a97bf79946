"""Laws of the figure of both stages."""

from __future__ import annotations

import sys

import pandas as pd
import pytest
from PIL import Image

from lmm_r1.errors import UserError
from lmm_r1.reporting.curves import main, two_stage_figure
from tests.reporting.handmade import write_metrics


@pytest.fixture
def stages(tmp_path):
    for stage, steps, start in (("fre", 8, 0.2), ("mgt", 4, 0.4)):
        (tmp_path / stage).mkdir()
        write_metrics(tmp_path / stage, steps, start)
    return tmp_path / "fre", tmp_path / "mgt"


def colours_in(picture) -> set[tuple[int, int, int]]:
    with Image.open(picture) as image:
        return {colour for _, colour in image.convert("RGB").getcolors(10**7)}


def test_the_figure_draws_each_rendering_in_its_colour(stages, tmp_path):
    two_stage_figure(*stages, tmp_path / "figure.png")
    assert {(0x1F, 0x7F, 0xC4), (0xD5, 0x5E, 0x00)} <= colours_in(tmp_path / "figure.png")


def test_a_rendering_measured_in_one_stage_only_is_drawn_there(stages, tmp_path):
    metrics = pd.read_csv(stages[1] / "metrics.csv")
    metrics.drop(columns="validation/accuracy/text_only").to_csv(stages[1] / "metrics.csv", index=False)
    two_stage_figure(*stages, tmp_path / "figure.png")
    assert (0x1F, 0x7F, 0xC4) in colours_in(tmp_path / "figure.png")


def test_the_same_runs_give_the_same_picture(stages, tmp_path):
    for name in ("a.png", "b.png"):
        two_stage_figure(*stages, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_run_without_validation_is_named(stages, tmp_path):
    pd.DataFrame({"step": [1], "reward/mean": [0.5]}).to_csv(stages[0] / "metrics.csv", index=False)
    with pytest.raises(UserError, match="no validation accuracy by rendering"):
        two_stage_figure(*stages, tmp_path / "figure.png")


def test_the_command_writes_the_picture(stages, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["curves", *map(str, stages), str(tmp_path / "figure.png")])
    main()
    assert (tmp_path / "figure.png").stat().st_size > 10_000
