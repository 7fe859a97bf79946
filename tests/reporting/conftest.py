"""The run folder that the reports are made from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reporting.handmade import write_run


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "outputs" / "mgt" / "2030-01-01_00-00-00"
    folder.mkdir(parents=True)
    write_run(folder)
    return folder
