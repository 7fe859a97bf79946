"""Checkpoints on disk: a folder each, with a manifest by which a damaged one is told without reading it.

checkpoints/step_000020.ckpt/manifest.json   the size of every other file; written last
                             .metadata       where each tensor lies (torch.distributed.checkpoint)
                             __0_0_0.distcp  what the first process wrote, in one file or several; …
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

from lmm_r1.atomic_files import remove_partial, remove_whole
from lmm_r1.errors import UserError

log = logging.getLogger(__name__)

CHECKPOINTS = "checkpoints"
"""Their folder, in a run's folder."""
MANIFEST = "manifest.json"
DAMAGED = ".damaged"
"""The end of a damaged checkpoint's name, once it is set aside."""


def checkpoint_path(folder: Path, steps: int) -> Path:
    """What a checkpoint after that many steps is called."""
    return folder / f"step_{steps:06d}.ckpt"


def steps_in(checkpoint: Path) -> int:
    """How many steps were done when it was written."""
    return int(checkpoint.stem.removeprefix("step_"))


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints, oldest first; one that was being written when the process died has another name."""
    return sorted(folder.glob("step_*.ckpt"), key=steps_in)


def write_manifest(checkpoint: Path) -> None:
    """Note what a complete checkpoint holds."""
    sizes = {path.name: path.stat().st_size for path in sorted(checkpoint.iterdir())}
    (checkpoint / MANIFEST).write_text(json.dumps({"files": sizes}, indent=2) + "\n", encoding="utf-8")


def damage(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint's files, by their names and sizes; None where nothing is.

    Raises:
        UserError: it is a single file, as earlier versions wrote them.
    """
    if checkpoint.is_file():
        raise UserError(
            f"{checkpoint}: a single file, written by an earlier version of this project; finish the run with that one"
        )
    try:
        files = json.loads((checkpoint / MANIFEST).read_text(encoding="utf-8"))["files"]
    except FileNotFoundError:
        return f"{MANIFEST} is missing"
    except (ValueError, KeyError, TypeError):
        return f"{MANIFEST} cannot be read"
    for name, size in files.items():
        path = checkpoint / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != size:
            return f"{name} has {path.stat().st_size} bytes of {size}"
    return None


def newest_sound_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that is not damaged, None where there is none at all. Every process comes to the same.

    Raises:
        UserError: there are checkpoints, and all of them are damaged; or see `damage`.
    """
    found = checkpoints(folder)
    for checkpoint in reversed(found):
        if damage(checkpoint) is None:
            return checkpoint
    if found:
        damaged = "; ".join(f"{checkpoint.name}: {damage(checkpoint)}" for checkpoint in found)
        raise UserError(f"{folder}: no checkpoint to go on from ({damaged}); bring one back, or start a new run")
    return None


def clear_up(run: Path, newest_sound: Path | None) -> None:
    """Remove what a process that died left half written in a run's folder, and give damaged checkpoints another name.

    One process does it, when it is known that the run goes on from `newest_sound`, or from its beginning.
    """
    for folder in (run, run / CHECKPOINTS):
        remove_partial(folder)
    if newest_sound is not None:
        _set_damaged_aside(newest_sound)


def _set_damaged_aside(newest_sound: Path) -> None:
    """Those after the newest sound one: their steps are done again."""
    for checkpoint in checkpoints(newest_sound.parent):
        if steps_in(checkpoint) > steps_in(newest_sound):
            aside = checkpoint.with_name(f"{checkpoint.name}{DAMAGED}")
            message = "%s is damaged (%s): it is now called %s, and the run goes on from %s"
            log.warning(message, checkpoint, damage(checkpoint), aside.name, newest_sound.name)
            if aside.exists():
                remove_whole(aside)
            os.rename(checkpoint, aside)


def drop_oldest(folder: Path, keep: int) -> None:
    """Remove all but the newest `keep` checkpoints."""
    for checkpoint in checkpoints(folder)[:-keep]:
        remove_whole(checkpoint)
