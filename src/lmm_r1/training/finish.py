"""What a run leaves when its steps are done: export, summary and report, each made by itself."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from lmm_r1.atomic_files import remove_whole
from lmm_r1.errors import UserError

log = logging.getLogger(__name__)

SUMMARY = "summary.json"
"""What says how many steps the run had when it ended."""


def finish(folder: Path, products: Mapping[str, Callable[[], object]], *, steps: int, trained: bool) -> None:
    """Make what is missing in a run's folder; one product that fails keeps no other from being made.

    Args:
        products: by the name of their file or folder, in the order in which they are made.
        steps: done by now, and saved.
        trained: whether this process did any of them; then what an earlier end of the run left is of other weights.

    Raises:
        Exception: of the products that failed, when all have been tried, one: a fault of ours if there is any.
    """
    if trained or _steps_at_earlier_end(folder) != steps:
        # In place of this end's export, should that fail, an earlier one would pass for it.
        for name in products:
            if (folder / name).exists():
                remove_whole(folder / name)
    failures: list[Exception] = []
    for name, make in products.items():
        if (folder / name).exists():
            continue
        try:
            make()
        except Exception as error:
            failures.append(error)
            log.error("%s was not made: %s", name, error, exc_info=not isinstance(error, UserError))
    if failures:
        log.error("all %d steps are saved; make what is missing with: python train.py resume=%s", steps, folder)
        raise next((error for error in failures if not isinstance(error, UserError)), failures[0])


def _steps_at_earlier_end(folder: Path) -> int | None:
    try:
        return json.loads((folder / SUMMARY).read_text(encoding="utf-8")).get("steps")
    except (FileNotFoundError, json.JSONDecodeError):
        return None
