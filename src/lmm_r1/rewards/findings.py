"""What an audit of golds found, row by row, as a file that people read and mend their data by."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lmm_r1.atomic_files import write_text
from lmm_r1.rewards.audit import GoldAudit
from lmm_r1.rewards.gold_rows import GoldRows

CURES = {
    "no_answer": "give the row an answer",
    "unparsable": "write the gold as one number, word or LaTeX expression",
    "wrong": "the verifier does not find it equal to itself; write it another way",
    "timeout": "too costly to verify; write it in a simpler form",
    "killed": "too costly to verify; write it in a simpler form",
}
"""What to do about a dropped gold, by reason."""


@dataclass(frozen=True)
class Finding:
    """A row that is not used as it stands. Made by `findings`; one line of `audit.jsonl`."""

    row: int
    """Its line in the file, from 1; in a parquet file its number."""
    gold: str | None
    """None where the row could not be read that far."""
    type: str
    """The declared answer type."""
    outcome: str
    """`"retyped"`, `"dropped"`, or `"left_out"`: the row could not be read."""
    reason: str
    suggestion: str


def findings(rows: GoldRows, audit: GoldAudit) -> list[Finding]:
    """Every row that is not used as it stands, in the order of the file."""
    found = [Finding(bad.line, None, rows.answer_type, "left_out", bad.reason, "repair it") for bad in rows.unread]
    for index, retyping in audit.retyped.items():
        suggestion = f"judged as {retyping.answer_type}"
        found.append(_finding(rows, index, "retyped", retyping.reason, suggestion))
    for index, reason in audit.dropped.items():
        found.append(_finding(rows, index, "dropped", reason, CURES[reason]))
    return sorted(found, key=lambda finding: finding.row)


def write_findings(path: Path, found: Sequence[Finding]) -> None:
    """One JSON object a line, whole or not at all; an empty file says that every row is used as it stands."""
    lines = [json.dumps(asdict(finding), ensure_ascii=False) for finding in found]
    write_text(path, "".join(f"{line}\n" for line in lines))


def _finding(rows: GoldRows, index: int, outcome: str, reason: str, suggestion: str) -> Finding:
    gold = rows.golds[index]
    return Finding(rows.lines[index], gold.answer, gold.answer_type, outcome, reason, suggestion)
