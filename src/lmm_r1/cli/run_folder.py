"""The folder of a run as the entry points see it: its configuration, the link `latest`, and going on in it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from lmm_r1.cli.checks import Config
from lmm_r1.errors import UserError

CONFIG_FILE = "config.yaml"
CHANGEABLE_ON_RESUME = ("resume", "output_root", "trainer.steps", "logger")
"""What may differ from the stored configuration; none of it touches a step that was already made."""


def is_first_process() -> bool:
    """Whether this process writes what a run has once: Lightning starts the others with their LOCAL_RANK."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def write_config(folder: Path, config: dict[str, Any], command: Sequence[str]) -> None:
    """Write the resolved configuration, whole or not at all, with the command that composed it above."""
    text = f"# {' '.join(command)}\n{yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=120)}"
    temporary = folder / f"{CONFIG_FILE}.writing"
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, folder / CONFIG_FILE)


def read_config(folder: Path) -> dict[str, Any]:
    return yaml.safe_load((folder / CONFIG_FILE).read_text(encoding="utf-8"))


def link_latest(folder: Path) -> None:
    """Point the link `latest` beside `folder` at it, in one step."""
    temporary = folder.parent / f".latest-{os.getpid()}"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(folder.name)
    os.replace(temporary, folder.parent / "latest")


def folder_to_resume(resume: str, stage_folder: Path) -> Path:
    """The run's folder that `resume=latest` or `resume=<folder>` names.

    Raises:
        UserError: there is no run.
    """
    folder = stage_folder / "latest" if resume == "latest" else Path(resume)
    if not (folder / CONFIG_FILE).is_file():
        raise UserError(f"resume={resume}: no run in {folder} (no {CONFIG_FILE}); start one by leaving resume out")
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


def _changeable(key: str) -> bool:
    return any(key == allowed or key.startswith(f"{allowed}.") for allowed in CHANGEABLE_ON_RESUME)


def _refuse_differences(stored: Config, composed: Config) -> None:
    before, now = dict(_leaves(stored)), dict(_leaves(composed))
    for key in [*now, *before]:
        # The stored configuration names the run that latest_fre stood for.
        derived = key == "init_from" or key == "sft.steps"
        if not _changeable(key) and not derived and before.get(key) != now.get(key):
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
