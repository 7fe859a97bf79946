"""Answers of the kinds that public bug reports of verifiers describe."""

from __future__ import annotations

import json
from pathlib import Path

from lmm_r1.rewards import verify

UNMENDED = {
    # How a number or an expression is written.
    *("case-02", "case-03", "case-04", "case-05", "case-06", "case-07", "case-11", "case-12", "case-13", "case-14"),
    *("case-15", "case-16", "case-17", "case-23", "case-24"),
    # Which kind of answer it is, and where it stands.
    *("case-01", "case-08", "case-18", "case-19", "case-20", "case-21", "case-22", "case-25"),
    *("case-26",),
}
"""Judged wrong until their kind is mended."""


def test_agrees_with_the_reported_cases(shared_data: Path) -> None:
    cases = [json.loads(line) for line in (shared_data / "cases/rewards.jsonl").open(encoding="utf-8")]
    disagreements = {
        case["id"]
        for case in cases
        if verify(
            case["gold"], case["pred"], case["answer_type"], choices=tuple(case["choices"]), scope=case["scope"]
        ).correct
        != case["expected"]
    }
    assert len(cases) == 26
    assert disagreements == UNMENDED
