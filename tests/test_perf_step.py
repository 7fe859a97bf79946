"""The measurements run; what they measure is for a quiet machine."""

from __future__ import annotations

import pytest

from tests.running import run


@pytest.mark.slow
def test_a_step_is_measured_by_phase() -> None:
    table = run("perf/step.py", "--small", "--rounds", "1", "--only", "tiny", "--shapes", "FRE")
    for phase in ("whole step", "sampling", "update", "tokens sampled"):
        assert any("FRE" in line and f"| {phase} |" in line for line in table.splitlines()), table
