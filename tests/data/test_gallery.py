"""The sheet of sample problems that the documentation shows."""

from __future__ import annotations

import subprocess
import sys

import pytest
from PIL import Image

from lmm_r1.data.gallery import CELL, draw_gallery
from lmm_r1.data.synthetic import FAMILIES
from tests.running import HANG_SECONDS


def test_the_gallery_has_a_row_for_each_family():
    one = draw_gallery(["chain"], 84, (3, 4), 0)
    three = draw_gallery(["chain", "count", "table"], 84, (3, 4), 0)
    assert one.width == three.width
    assert three.height - one.height > 2 * CELL


@pytest.mark.slow
def test_the_command_in_the_documentation_writes_the_figure(tmp_path, repository):
    command = [sys.executable, "-m", "lmm_r1.data.gallery", str(tmp_path / "new" / "sheet.png"), "--families", "bars"]
    subprocess.run(command, check=True, env={"PYTHONPATH": str(repository / "src")}, timeout=HANG_SECONDS)
    assert Image.open(tmp_path / "new" / "sheet.png").height > CELL


def test_the_documentation_names_every_family(repository):
    text = (repository / "docs" / "problems.md").read_text()
    assert all(f"`{name}`" in text for name in FAMILIES)
    for figure in ("problems.png", "problems_84.png"):
        assert f"figures/{figure}" in text
        assert (repository / "docs" / "figures" / figure).stat().st_size < 300_000
