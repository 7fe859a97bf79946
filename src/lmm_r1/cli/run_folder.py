"""The folder of a run as the entry points see it: its configuration, the link `latest`, and going on in it."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterator, Sequence
from copy import deepcopy
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml

from lmm_r1.atomic_files import replacing, write_text
from lmm_r1.cli.checks import Config, lookup
from lmm_r1.errors import UserError

log = logging.getLogger(__name__)

CONFIG_FILE = "config.yaml"
CACHE = "cache"
"""Beside the stages in `output_root`: what one run or evaluation found out and another need not."""
OF_THE_COMMAND = ("resume", "output_root", "plan", "expected")
"""What belongs to a command and not to the run."""
HARMLESS_ON_RESUME = (
    "logger",
    "trainer.validate_every",
    "trainer.validation_batch_size",
    "trainer.checkpoint_every",
    "trainer.keep_checkpoints",
    "trainer.max_skipped_steps",
    "trainer.threads",
    "algorithm.micro_batch_tokens",
    "sft.micro_batch_size",
    "model.attention",
    "model.gradient_checkpointing",
    "rollout.engine.max_model_len",
    "rollout.engine.max_num_seqs",
    "rollout.engine.max_images",
    "rollout.engine.enforce_eager",
    "rollout.engine.gpu_memory_utilization",
    "rollout.engine.kv_cache_gib",
    "reward.accuracy.workers",
    "min_usable_share",
    "max_bad_rows",
)
"""Memory, speed, what is kept and what is let pass: none of it changes how rows are learnt from, though some of it the
last bits of numbers, as another machine would, and a longer context or more images let rows in that were left out. A
verifier's time limit is not among them: it changes verdicts."""
ANNOUNCED_ON_RESUME = (
    "trainer.steps",
    "trainer.max_skipped_steps",
    "algorithm.learning_rate",
    "algorithm.max_grad_norm",
    "algorithm.critic.learning_rate",
    "algorithm.critic.max_grad_norm",
    "sft.learning_rate",
    "sft.max_grad_norm",
)
"""How far and how fast the run goes on: for a run that is to be longer, or that could not go on as it was. What is done
stays as it is."""
CHANGEABLE_ON_RESUME = (*OF_THE_COMMAND, *HARMLESS_ON_RESUME, *ANNOUNCED_ON_RESUME)


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
    """Raises UserError where the file is damaged."""
    path = folder / CONFIG_FILE
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        config = None
    if not isinstance(config, dict):
        raise UserError(f"{path}: damaged, so that the run cannot go on; start a new one")
    return config


def steps_saved(folder: Path) -> int | None:
    """After how many steps the newest checkpoint was written; None where there is none."""
    names = [path.stem.removeprefix("step_") for path in (folder / "checkpoints").glob("step_*.ckpt")]
    return max((int(name) for name in names if name.isdecimal()), default=None)


def first_command(folder: Path) -> str:
    """The command that started the run, as `write_config` noted it."""
    return (folder / CONFIG_FILE).read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


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
        overrides: keys and groups given on the command line. A setting that may not change must be the stored one;
            with groups, the command must compose to the stored configuration: the one that started the run, repeated.

    Raises:
        UserError: the command line contradicts the stored configuration.
    """
    given = {key for key in overrides if not key.startswith("hydra")}
    fixed = [key for key in given if not _changeable(key) and key not in ("stage", "init_from")]
    leaves = dict(_leaves(composed))
    settings = [key for key in fixed if key in leaves]
    for key in settings:
        _refuse_difference(key, lookup(stored, key), lookup(composed, key))
    if len(settings) < len(fixed):
        _refuse_differences(stored, composed, named_first=given)
    elif "stage" in given and composed["stage_name"] != stored["stage_name"]:
        raise UserError(f"stage={composed['stage_name']}: the run to resume is one of stage={stored['stage_name']}")
    config = deepcopy(dict(stored))
    for key in given:
        if key.split(".")[0] == "logger":
            config["logger"] = composed["logger"]
        elif key in HARMLESS_ON_RESUME or key in ANNOUNCED_ON_RESUME:
            _replace(config, key, lookup(composed, key))
    return config


def changes(before: Config, now: Config) -> Iterator[str]:
    """What differs between two configurations, a line for each setting."""
    earlier = dict(_leaves(before))
    for key, value in _leaves(now):
        if key in earlier and earlier[key] != value:
            yield f"{key}={value} from here on, {key}={earlier[key]} before"


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


def _replace(config: dict[str, Any], key: str, value: Any) -> None:
    *path, leaf = key.split(".")
    group = lookup(config, ".".join(path)) if path else config
    if not isinstance(group, dict) or leaf not in group:
        raise UserError(f"{key}={value}: the run to resume has no such setting; leave it out")
    group[leaf] = value


def _refuse_differences(stored: Config, composed: Config, named_first: Collection[str]) -> None:
    before, now = dict(_leaves(stored)), dict(_leaves(composed))
    for key in sorted([*now, *before], key=lambda key: key.split(".")[0] not in named_first):
        # The stored configuration has the folder that init_from stood for.
        if not _changeable(key) and key != "init_from":
            _refuse_difference(key, before.get(key), now.get(key))


def _refuse_difference(key: str, before: Any, now: Any) -> None:
    if before != now:
        raise UserError(
            f"{key}={now}: the run to resume has {key}={before}; give resume alone to go on unchanged, or start a new "
            "run"
        )


def _leaves(config: Config, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
