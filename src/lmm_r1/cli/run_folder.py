"""The folder of a run as the entry points see it: its configuration, the link `latest`, and going on in it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml

from lmm_r1.atomic_files import replacing, write_text
from lmm_r1.cli.checks import Config
from lmm_r1.errors import UserError

log = logging.getLogger(__name__)

CONFIG_FILE = "config.yaml"
CHANGEABLE_ON_RESUME = ("resume", "output_root", "trainer.steps", "logger", "plan", "expected")
"""What may differ from the stored configuration; none of it touches a step that was already made."""


def process_number() -> int:
    """Which of a run's processes this is: Lightning starts those after the first with their LOCAL_RANK."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def is_first_process() -> bool:
    """Whether this process writes what a run has once."""
    return process_number() == 0


def write_config(folder: Path, config: dict[str, Any], command: str) -> None:
    """Write the resolved configuration, whole or not at all, below the commands that led to it."""
    path = folder / CONFIG_FILE
    earlier = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    commands = [*takewhile(lambda line: line.startswith("# "), earlier), f"# {command}"]
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=120)
    write_text(path, "\n".join([*commands, text]))


def read_config(folder: Path) -> dict[str, Any]:
    return yaml.safe_load((folder / CONFIG_FILE).read_text(encoding="utf-8"))


def steps_saved(folder: Path) -> int | None:
    """After how many steps the newest checkpoint was written; None where there is none."""
    names = [path.stem.removeprefix("step_") for path in (folder / "checkpoints").glob("step_*.ckpt")]
    return max((int(name) for name in names if name.isdecimal()), default=None)


def link_latest(folder: Path) -> None:
    """Point the link `latest` beside `folder` at it, in one step; a folder of that name stays what it is."""
    latest = folder.parent / "latest"
    if latest.is_dir() and not latest.is_symlink():
        log.warning("%s is a folder, not a link, so it does not come to mean %s", latest, folder)
        return
    with replacing(latest) as partial:
        partial.symlink_to(folder.name)


def folder_to_resume(key: str, value: str, runs: Path) -> Path:
    """The folder that `<key>=latest` or `<key>=<folder>` names; `runs` is where `latest` lies.

    Raises:
        UserError: there is no run.
    """
    folder = runs / "latest" if value == "latest" else Path(value).expanduser()
    if not (folder / CONFIG_FILE).is_file():
        raise UserError(f"{key}={value}: no run in {folder} (no {CONFIG_FILE}); start one by leaving {key} out")
    return folder.resolve()


def resumed_config(stored: Config, composed: Config, overrides: Sequence[str]) -> dict[str, Any]:
    """The configuration to go on with: the stored one, with what may change taken from the command line.

    Args:
        overrides: keys and groups given on the command line. Where they go beyond what may change, the command must
            compose to the stored configuration: the one that started the run, repeated.

    Raises:
        UserError: the command line contradicts the stored configuration.
    """
    given = {key for key in overrides if not key.startswith("hydra")}
    if any(not _changeable(key) and key != "stage" for key in given):
        _refuse_differences(stored, composed)
    elif "stage" in given and composed["stage_name"] != stored["stage_name"]:
        raise UserError(f"stage={composed['stage_name']}: the run to resume is one of stage={stored['stage_name']}")
    config = dict(stored)
    if "trainer.steps" in given:
        config["trainer"] = {**stored["trainer"], "steps": composed["trainer"]["steps"]}
    if any(key == "logger" or key.startswith("logger.") for key in given):
        config["logger"] = composed["logger"]
    return config


def rescored_config(stored: Config, composed: Config, overrides: Sequence[str]) -> dict[str, Any]:
    """The stored configuration of an evaluation with the command line's reward.

    Raises:
        UserError: the command line sets what scoring does not read.
    """
    for key in overrides:
        if key.split(".")[0] not in ("rescore", "output_root", "reward", "hydra"):
            raise UserError(f"{key}: has no effect on answers that are stored already; rescore takes reward alone")
    return {**stored, "reward": composed["reward"], "rescore": composed["rescore"]}


def _changeable(key: str) -> bool:
    return any(key == allowed or key.startswith(f"{allowed}.") for allowed in CHANGEABLE_ON_RESUME)


def _refuse_differences(stored: Config, composed: Config) -> None:
    before, now = dict(_leaves(stored)), dict(_leaves(composed))
    for key in [*now, *before]:
        # The stored configuration has the folder that init_from stood for.
        if not _changeable(key) and key != "init_from" and before.get(key) != now.get(key):
            raise UserError(
                f"{key}={now.get(key)}: the run to resume has {key}={before.get(key)}; give resume alone to go on "
                "unchanged, or start a new run"
            )


def _leaves(config: Config, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
