"""The start of a run: `latest` moves once it has begun; of a start that fails its log and lists alone are kept."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lmm_r1.atomic_files import write_text
from lmm_r1.cli.run_folder import CONFIG_FILE, link_latest
from lmm_r1.cli.run_lock import LOCK_FILE
from lmm_r1.errors import UserError

log = logging.getLogger(__name__)

OF_NO_USE = (
    CONFIG_FILE,
    "lineage.json",
    "generation.json",
    "metrics.csv",
    "completions",
    "initial",
    "rollouts",
    "validation",
    "checks",
    "checkpoints",
    "checks",
    "wandb",
    LOCK_FILE,
)
"""What a run that has not begun may have made, and nobody needs. Its logs and the lists of unusable rows stay."""


@contextmanager
def starting(folder: Path, *, resumed: bool) -> Iterator[Callable[[], None]]:
    """Yield what the run calls when it has begun: when its first result is on the disk.

    Until then `latest` keeps meaning the run before; a new run that fails is cleared away, and one that was to be
    resumed is as it was.

    Raises:
        UserError: a new run is to be made in the folder of another one.
    """
    if not resumed and (folder / CONFIG_FILE).exists():
        raise UserError(f"{folder}: holds a run already; go on with it by resume={folder}, or name another folder")
    config = folder / CONFIG_FILE
    before = {path.name for path in folder.iterdir()} - {LOCK_FILE}
    stored = config.read_text(encoding="utf-8") if resumed else None
    begun = False

    def begin() -> None:
        nonlocal begun
        begun = True
        link_latest(folder)

    try:
        yield begin
    except BaseException:
        if not begun and stored is None:
            _clear(folder, before)
        elif not begun and config.read_text(encoding="utf-8") != stored:
            write_text(config, stored)
        raise


def _clear(folder: Path, before: set[str]) -> None:
    for name in OF_NO_USE:
        path = folder / name
        if name in before:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    log.warning(
        "the run had not begun: %s keeps its log and what it lists of the data, and latest means the run before", folder
    )
