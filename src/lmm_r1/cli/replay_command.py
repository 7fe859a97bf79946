"""The command that makes a run's updates again from its stored rollouts."""

from __future__ import annotations

import shlex
from pathlib import Path

from lmm_r1.cli.checks import Config
from lmm_r1.cli.run_folder import first_command

REPLACED = ("rollout", "rollout.engine", "init_from", "resume")


def replay_command(folder: Path, config: Config) -> str | None:
    """The one that started the run, with its rollouts in place of an engine; None where it has none."""
    if config["stage_name"] == "sft":
        return None
    words = [word for word in shlex.split(first_command(folder))[2:] if not _is_replaced(word)]
    start = [] if config["init_from"] is None else [f"init_from={config['init_from']}"]
    return shlex.join(["python", "train.py", *words, *start, "rollout=replay", f"rollout.engine.folder={folder}"])


def _is_replaced(word: str) -> bool:
    key = word.lstrip("+~").partition("=")[0]
    return key in REPLACED or key.startswith("rollout.engine.")
