"""Which folder `init_from` means; looked up without importing torch, so that a slip is noticed at once."""

from __future__ import annotations

from pathlib import Path

from lmm_r1.errors import UserError
from lmm_r1.model_files import read_model_config

LATEST_FRE = "latest_fre"


def starting_folder(init_from: str, outputs: Path) -> Path:
    """The absolute folder of the run or model that a run starts from.

    Args:
        init_from: `latest_fre` for the newest finished FRE run under `outputs`; or the folder of a run or of a model.

    Raises:
        UserError: there is none, or the run has not finished.
    """
    if init_from == LATEST_FRE:
        run = newest_finished_run(outputs / "fre")
        if run is None:
            raise UserError(
                f"init_from={LATEST_FRE}: no finished FRE run under {outputs / 'fre'}; run python train.py stage=fre "
                "first, name a run with init_from=<folder>, or start from the base model with ablation=direct_rl"
            )
        return run.resolve()
    folder = Path(init_from).expanduser()
    if _is_finished(folder) or (folder / "config.json").is_file():
        return folder.resolve()
    if (folder / "config.yaml").is_file():
        raise UserError(
            f"init_from={init_from}: that run has not finished; go on with it: python train.py resume={init_from}"
        )
    if (folder / "adapter_config.json").is_file():
        read_model_config(folder, f"init_from={init_from}")
    raise UserError(f"init_from={init_from}: neither a run's folder nor a Hugging Face model's folder")


def model_of(folder: Path) -> Path:
    """The model's folder of what `starting_folder` gave: a finished run's export, or the folder itself."""
    return folder / "export" if _is_finished(folder) else folder


def newest_finished_run(stage_folder: Path) -> Path | None:
    """The newest run under a stage's folder that left a summary and an export; names are timestamps."""
    finished = [path for path in stage_folder.glob("*") if _is_finished(path) and not path.is_symlink()]
    return max(finished, default=None, key=lambda path: path.name)


def _is_finished(folder: Path) -> bool:
    return (folder / "summary.json").is_file() and (folder / "export" / "config.json").is_file()
