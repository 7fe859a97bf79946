"""Whether what the configuration points at is there, looked up before anything heavy is imported."""

from __future__ import annotations

import re
from pathlib import Path

from lmm_r1.cli.checks import Config, lookup
from lmm_r1.cli.starting_run import model_of, starting_folder
from lmm_r1.errors import UserError
from lmm_r1.model_files import check_model_folder, read_model_config

HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
GPU_DEVICES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")


def check_training_inputs(config: Config, *, fre_run_precedes: bool = False) -> None:
    """Raises `UserError` for a missing file, model, starting run or GPU.

    Args:
        fre_run_precedes: an earlier job of the same multirun will leave the run that `latest_fre` means.
    """
    _check_files(config, "dataset")
    if config["init_from"] is None:
        if lookup(config, "sft.build") is None:
            _check_model(config)
    elif config["init_from"] != "latest_fre" or not fre_run_precedes:
        folder = starting_folder(config["init_from"], Path(config["output_root"]))
        check_model_folder(model_of(folder), f"init_from={config['init_from']}")
    if config["trainer"]["accelerator"] == "gpu" and not any(Path(device).exists() for device in GPU_DEVICES):
        raise UserError("trainer.accelerator=gpu: this machine has no GPU; take trainer=cpu")


def check_evaluation_inputs(config: Config) -> None:
    """Raises `UserError` for a missing file or model."""
    _check_files(config, "benchmark")
    if config["rescore"] is None:
        _check_model(config)


def check_dataset_files(config: Config) -> None:
    """Raises `UserError` for a missing file of the data set."""
    _check_files(config, "dataset")


def file_is_missing(config: Config, group: str) -> bool:
    """Whether the group reads a file that is not there or not named."""
    return "path" in config[group] and not Path(config[group]["path"] or "").expanduser().is_file()


def check_planned_model(path: str, named: str) -> None:
    """Raises `UserError` for a model that is missing or of another kind; a plan asks for no more than its config.json.

    Args:
        path: a folder, or a hub id.
        named: what the user wrote, e.g. `model.path=models/tiny`.
    """
    folder = Path(path).expanduser()
    _check_place(path)
    if folder.is_dir():
        read_model_config(folder, named)


def _check_model(config: Config) -> None:
    path = config["model"]["path"]
    folder = Path(path).expanduser()
    _check_place(path)
    if folder.is_dir():
        check_model_folder(folder, f"model.path={path}")


def _check_place(path: str) -> None:
    """A hub id is believed, because asking the hub takes time."""
    folder = Path(path).expanduser()
    if (folder / "export" / "config.json").is_file() and not (folder / "config.json").is_file():
        raise UserError(f"model.path={path}: a run's folder; its model is model.path={folder / 'export'}")
    if not folder.is_dir() and (not HUB_ID.fullmatch(path) or folder.parent.is_dir()):
        raise UserError(f"model.path={path}: no such folder; give a Hugging Face folder or a hub id, organisation/name")


def _check_files(config: Config, group: str) -> None:
    for key in (f"{group}.path", f"{group}.validation_path", "rollout.engine.folder"):
        path = lookup(config, key)
        if path is not None and not Path(path).expanduser().exists():
            source = lookup(config, f"{group}.download") if key.startswith(group) else None
            raise UserError(f"{key}={path}: no such file" + (f"; get it from: {source}" if source else ""))
