"""Answers of the kinds that public bug reports of verifiers describe."""

from __future__ import annotations

import json
from pathlib import Path

from lmm_r1.rewards import verify


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
    assert disagreements == set()
