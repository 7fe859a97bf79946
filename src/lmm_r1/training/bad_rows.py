"""Rows that prove bad when they are read: other rows take their places, and the run goes on, up to a bound."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import lightning as L

from lmm_r1.errors import BadRowError
from lmm_r1.evaluation.bad_rows import BadRowsFile, ListedRow, listed, one_line
from lmm_r1.rollout.outlines import read_or_fault
from lmm_r1.training.batch import PromptSchedule, RolloutBatch
from lmm_r1.training.distributed import AgreedError, gather_objects

log = logging.getLogger(__name__)

CONSEQUENCE = {"training": "another row takes its place", "validation": "not answered, and not counted"}
"""Of a bad row, by the part of the data that it belongs to."""


class BadRows(L.Callback):
    """Completes each batch before others see it, and keeps count of the rows that were of no use.

    Whoever else reads rows in a step, such as dynamic sampling, tells `note`.
    """

    def __init__(self, listing: BadRowsFile | None = None, *, most: int | None = None) -> None:
        """Args: `most` training rows may prove bad in a run (`max_bad_rows`); None is any number."""
        self.listing = BadRowsFile(None) if listing is None else listing
        self.most = most
        self.metrics: dict[str, float] = {}
        """`data/bad_rows`: how many rows were of no use in the step at hand."""
        self._found: list[ListedRow] = []

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.listing.add(self._found)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: RolloutBatch | list, batch_idx: int
    ) -> None:
        self.metrics = {"data/bad_rows": 0.0}
        loader, entries = trainer.train_dataloader, batch if isinstance(batch, list) else batch.problems
        rows, bad = completed(trainer, loader.schedule, loader.dataset, pl_module.steps_done, entries)
        if isinstance(batch, RolloutBatch):
            batch.rows = rows
        self.note(trainer, pl_module.steps_done + 1, loader.dataset, bad)

    def note(
        self, trainer: L.Trainer, step: int, data: Any, bad: Mapping[int, BadRowError], part: str = "training"
    ) -> None:
        """Count, list and name bad rows, the same in every process.

        Args:
            step: from 1, the step that would have asked them; 0 is before the first.
            data: in which `bad` has them by place.

        Raises:
            AgreedError: more training rows than `most` have proved bad.
        """
        rows = listed(part, data, bad, f"step {step}")
        known = {(row.part, row.file, row.line) for row in self._found}
        new = [row for row in rows if (row.part, row.file, row.line) not in known]
        for row in new if trainer.is_global_zero else ():
            log.warning(
                "%s data: %s, line %d: %s (%s)", part, row.file, row.line, one_line(row.detail), CONSEQUENCE[part]
            )
        if new:
            self.listing.add(new)
        if part == "training":
            self.metrics["data/bad_rows"] = self.metrics.get("data/bad_rows", 0.0) + len(bad)
            self._check_bound(new)
        self._found += new

    def _check_bound(self, new: Sequence[ListedRow]) -> None:
        count = sum(row.part == "training" for row in self._found) + len(new)
        if new and self.most is not None and count > self.most:
            raise AgreedError(
                f"{count} rows have proved bad when they were read, more than max_bad_rows={self.most}; the last is "
                f"line {new[-1].line} of {new[-1].file}: {one_line(new[-1].detail)}; mend them, or raise max_bad_rows, "
                "and go on with resume"
            )

    def state_dict(self) -> dict[str, Any]:
        return {"found": [asdict(row) for row in self._found]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._found = [ListedRow(**row) for row in state_dict["found"]]


def completed(
    trainer: L.Trainer, schedule: PromptSchedule, data: Sequence[Any], step: int, entries: list[Any]
) -> tuple[list[int], dict[int, BadRowError]]:
    """Put a step's spare rows in the places of bad ones, in order; a function of the step and the data alone.

    Which process had to read a bad row makes no difference. Where no spare row is left, good ones of the step are asked
    again.

    Args:
        step: steps done so far.
        entries: this process's; bad ones are replaced.

    Returns:
        the places in `data` of all that the step asks, over all processes, and what was bad, by place.

    Raises:
        AgreedError: there is nothing to ask.
    """
    rank, world = trainer.global_rank, trainer.world_size
    rows, bad = schedule.asked(step), {}
    others = _others(schedule, step, rows, bad)
    failing = [rank + world * place for place, entry in enumerate(entries) if isinstance(entry, BadRowError)]
    while True:
        mine = {position: entries[position // world] for position in failing}
        faults = {position: fault for part in gather_objects(trainer, mine) for position, fault in part.items()}
        if not faults:
            return rows, bad
        bad |= {rows[position]: faults[position] for position in sorted(faults)}
        for position in sorted(faults):
            rows[position] = next(others, None)
            if rows[position] is None:
                raise AgreedError(f"step {step + 1}: no row of the training data can be read: {faults[position]}")
        for position in mine:
            entries[position // world] = read_or_fault(data.__getitem__, rows[position])
        failing = [position for position in mine if isinstance(entries[position // world], BadRowError)]


def _others(schedule: PromptSchedule, step: int, rows: Sequence[int], bad: Mapping[int, BadRowError]) -> Iterator[int]:
    """The step's spare rows, then those that it asks anyway."""
    yield from schedule.spare(step)
    while good := [row for row in rows if row is not None and row not in bad]:
        yield from good
