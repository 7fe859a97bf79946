"""Nothing is trained on a gold answer that does not verify against itself.

A run lists what it retyped or dropped in `audit.jsonl` of its folder; `python -m lmm_r1.cli.audit` lists the same of a
whole file without training.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lmm_r1.data.local import LocalDataset
from lmm_r1.errors import UserError
from lmm_r1.rewards.audit import verify_golds
from lmm_r1.rewards.findings import findings, write_findings
from lmm_r1.types import Problem

log = logging.getLogger(__name__)

LISTED = 20
"""Dropped problems that the message lists one by one."""

LISTING = "audit.jsonl"
"""The file of a run's folder with the rows that were retyped, dropped or left out."""


class AuditedProblems:
    """The problems of a data set whose golds can judge answers, each with the type it is judged as."""

    def __init__(self, data: Sequence[Problem], rows: Sequence[int], answer_types: Mapping[int, str]) -> None:
        self._data = data
        self._rows = rows
        self._answer_types = answer_types

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Problem:
        row = self._rows[index]
        problem = self._data[row]
        return replace(problem, answer_type=self._answer_types.get(row, problem.answer_type))


def with_verifiable_golds(data: Sequence[Any], folder: Path | None = None) -> Sequence[Any]:
    """The data set without problems that nobody could solve; generated problems have exact golds and pass as they are.

    The authors' code pays such problems in full whatever is answered; here they are dropped and counted in the log, and
    golds of another type than the data set's are judged as theirs (the rule is in `rewards.audit`).

    Args:
        folder: where to write `audit.jsonl`; None where another process does.

    Raises:
        UserError: nothing is left.
    """
    if not isinstance(data, LocalDataset):
        return data
    audit = verify_golds(data.golds())
    if folder is not None:
        write_findings(folder / LISTING, findings(data, audit))
    if not audit.usable:
        raise UserError(f"dataset.path={data.path}: no gold verifies against itself; is dataset.answer_type right?")
    answer_types = {row: retyping.answer_type for row, retyping in audit.retyped.items()}
    if answer_types:
        log.info("%s: golds judged as another type than %s: %s", data.path, data.answer_type, _counts(answer_types))
    if audit.dropped:
        lines = ", ".join(str(data.line(index)) for index in list(audit.dropped)[:LISTED])
        reasons = _counts(audit.dropped)
        log.warning("%s: dropped golds that do not verify: %s; lines %s", data.path, reasons, lines)
    return AuditedProblems(data, audit.usable, answer_types)


def _counts(values: Mapping[int, str]) -> str:
    return ", ".join(f"{count} {value}" for value, count in Counter(values.values()).most_common())
