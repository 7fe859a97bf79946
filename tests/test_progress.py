"""Progress is said while something long is under way."""

from __future__ import annotations

import logging

from lmm_r1.progress import ProgressLine


def test_progress_is_said_when_it_is_due_and_not_before(caplog):
    with caplog.at_level(logging.INFO):
        ProgressLine("counting", 2000, seconds=3600)(1000)
        assert caplog.messages == []
        ProgressLine("counting", 2000, seconds=0)(1000)
    assert caplog.messages == ["counting: 1,000 of 2,000 (0 s)"]
