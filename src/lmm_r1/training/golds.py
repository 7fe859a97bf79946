"""Nothing is trained on a gold answer that does not verify against itself.

A run lists what it retyped or dropped in `audit.jsonl` of its folder; `python -m lmm_r1.cli.audit` lists the same of a
whole file without training.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

from lmm_r1.disk_cache import DiskCache
from lmm_r1.errors import BadRowError
from lmm_r1.evaluation.bad_rows import BadRowsFile, one_line
from lmm_r1.rewards.audit import GoldAudit, Retyping, verify_golds
from lmm_r1.rewards.findings import findings, write_findings
from lmm_r1.rewards.fingerprint import audit_fingerprint
from lmm_r1.rewards.gold_rows import GoldRows, gold_rows
from lmm_r1.rollout.askable import AskableProblems
from lmm_r1.rollout.outlines import location_of, order_keys_of
from lmm_r1.types import Problem

log = logging.getLogger(__name__)

LISTING = "audit.jsonl"
"""The file of a run's folder with the rows that were retyped, dropped or left out."""


class UsableProblems:
    """The problems of a data set that can be asked and whose golds can judge answers, each with the type it is judged
    as. A picture that proves damaged when it is decoded raises `BadRowError` all the same."""

    def __init__(self, data: Sequence[Problem], rows: Sequence[int], answer_types: Mapping[int, str]) -> None:
        """Args: `rows` are the places of these problems in `data`."""
        self._data, self._rows, self._answer_types = data, rows, answer_types

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Problem:
        row = self._rows[index]
        problem = self._data[row]
        return replace(problem, answer_type=self._answer_types.get(row, problem.answer_type))

    def location(self, index: int) -> tuple[str, int]:
        """See `lmm_r1.rollout.outlines`."""
        return location_of(self._data, self._rows[index])

    def order_keys(self) -> list[str]:
        """See `lmm_r1.rollout.outlines`."""
        keys = order_keys_of(self._data)
        return [keys[row] for row in self._rows]


def with_verifiable_golds(
    data: Any,
    folder: Path | None = None,
    *,
    cache: DiskCache | None = None,
    first: bool = True,
    least: float = 0.0,
    listing: BadRowsFile | None = None,
) -> Sequence[Any]:
    """The data set without problems that nobody could solve; generated problems have exact golds and pass as they are.

    The authors' code pays such problems in full whatever is answered; here they are dropped and counted in the log, and
    golds of another type than the data set's are judged as theirs (the rule is in `rewards.audit`).

    Args:
        data: a data set, or `AskableProblems`, whose bad rows go too.
        folder: where to write `audit.jsonl`; None where another process does.
        cache: where the audit is kept for processes and runs with the same golds; None keeps it nowhere.
        first: whether this process audits, where there are several; the others wait for what it finds.
        least: the share of all rows that must be usable.
        listing: where all rows that go are listed.

    Raises:
        UserError: nothing is left, or too little.
    """
    source, bad = (data.data, dict(data.bad)) if isinstance(data, AskableProblems) else (data, {})
    if getattr(source, "generated", False):
        return data
    rows = gold_rows(source)
    audit = _audit(rows, cache, first)
    if folder is not None:
        write_findings(folder / LISTING, findings(rows, audit))
    for index, reason in audit.dropped.items():
        detail = f"{reason}: {one_line(rows.golds[index].answer)}; see {LISTING}"
        bad.setdefault(rows.places[index], BadRowError("gold that does not verify against itself", detail))
    listing = BadRowsFile(None) if listing is None else listing
    listing.settle("training", source, dict(sorted(bad.items())), least)
    answer_types = {rows.places[index]: retyping.answer_type for index, retyping in audit.retyped.items()}
    if answer_types:
        declared = ", ".join(sorted({rows.golds[index].answer_type for index in audit.retyped}))
        log.info("golds judged as another type than %s: %s", declared, _counts(answer_types))
    return UsableProblems(data, [place for place in rows.places if place not in bad], answer_types)


def _audit(rows: GoldRows, cache: DiskCache | None, first: bool) -> GoldAudit:
    """What of the golds can be used, by their places in `rows`."""
    if cache is None:
        return verify_golds(rows.golds)

    def found() -> dict[str, dict[int, Any]]:
        audit = verify_golds(rows.golds)
        retyped = {index: astuple(retyping) for index, retyping in audit.retyped.items()}
        return {"retyped": retyped, "dropped": audit.dropped}

    stored = cache.result("golds", audit_fingerprint(rows.golds), found, makes=first)
    retyped = {int(index): Retyping(*retyping) for index, retyping in stored["retyped"].items()}
    dropped = {int(index): reason for index, reason in stored["dropped"].items()}
    return GoldAudit([i for i in range(len(rows.golds)) if i not in retyped and i not in dropped], retyped, dropped)


def _counts(values: Mapping[int, str]) -> str:
    return ", ".join(f"{count} {value}" for value, count in Counter(values.values()).most_common())
