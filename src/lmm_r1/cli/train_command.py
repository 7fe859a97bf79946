"""`train.py`: from the composed configuration to a run of a stage."""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig

from lmm_r1.cli.command_line import parse_overrides
from lmm_r1.cli.composition import compose_config, plain
from lmm_r1.cli.endings import append_line, ending_in_log
from lmm_r1.cli.inputs import check_training_inputs
from lmm_r1.cli.places import check_place, saying_what_is_saved
from lmm_r1.cli.plan import OPTIONAL, asks_for_a_plan, check_plan, print_plan
from lmm_r1.cli.replay_command import replay_command
from lmm_r1.cli.run_folder import (
    CACHE,
    changes,
    folder_to_resume,
    process_number,
    read_config,
    resumed_config,
    steps_saved,
    write_config,
)
from lmm_r1.cli.run_lock import claimed
from lmm_r1.cli.run_start import starting
from lmm_r1.cli.starting_run import starting_folder
from lmm_r1.cli.user_errors import one_line_errors
from lmm_r1.cli.validate import validate_training
from lmm_r1.errors import UserError

if TYPE_CHECKING:
    from lmm_r1.reporting.wandb_run import WandbRun
    from lmm_r1.training.parts import Parts

log = logging.getLogger(__name__)

Config = dict[str, Any]
LOG_FILE = "train.log"


class TrainCommand:
    """See `lmm_r1.cli.launch.Command`."""

    name = "train"
    help = """Train one stage of two-stage, rule-based reinforcement learning.

  python train.py stage=fre                  strengthen reasoning on text (the default; a laptop will do)
  python train.py stage=mgt                  carry it over to images, from the newest finished FRE run
  python train.py -m stage=fre,mgt           both in order, each in a process of its own
  python train.py stage=fre resume=latest    go on after an interruption
  python train.py experiment=fre_text        a row of the paper
  python train.py plan=true                  how large, how long: printed in place of a run (plan=h200 for that GPU)
  python train.py debug=tiny                 two updates: is everything wired up?"""

    def answer(self, overrides: Sequence[str]) -> bool:
        if not asks_for_a_plan(overrides):
            return False
        config = plain(compose_config(self.name, overrides, optional=OPTIONAL))
        validate_training(config)
        check_plan(config)
        print_plan(config)
        return True

    def check(self, jobs: Sequence[Sequence[str]]) -> Path | None:
        finals = [final_config(plain(compose_config(self.name, overrides)), overrides) for overrides in jobs]
        for (config, resumed), overrides in zip(finals, jobs, strict=True):
            validate_training(config)
            check_plan(config)
            check_place(config, config["stage_name"], resumed, overrides)
        fre_roots: set[str] = set()
        for config, _ in finals:
            check_training_inputs(config, fre_run_precedes=config["output_root"] in fre_roots)
            if config["stage_name"] == "fre":
                fre_roots.add(config["output_root"])
        return finals[-1][1]


def train(composed: DictConfig) -> None:
    """Run what was composed: prepare the run's folder, build the parts, train."""
    folder, process = Path(HydraConfig.get().runtime.output_dir), process_number()
    with one_line_errors(), claimed(folder, process):
        if process == 0:
            resumed = composed.resume is not None
            with starting(folder, resumed=resumed) as begun, _endings(folder, process):
                run(_open_folder(composed, folder), folder, begun)
        else:
            with _endings(folder, process):
                run(read_config(folder), folder, lambda: None)


def final_config(composed: Config, overrides: Sequence[str]) -> tuple[Config, Path | None]:
    """The configuration that a run really has, and the folder to go on in when it resumes an earlier one."""
    if composed["resume"] is None:
        return composed, None
    folder = folder_to_resume("resume", composed["resume"], Path(composed["output_root"]) / composed["stage_name"])
    keys = [override.key_or_group for override in parse_overrides(overrides)]
    config = resumed_config(read_config(folder), composed, keys)
    saved, steps = steps_saved(folder) or 0, config["trainer"]["steps"]
    if isinstance(steps, int) and steps < saved:
        raise UserError(f"trainer.steps={steps}: {saved} steps of {folder} are done already; give at least {saved}")
    return config, folder


@contextmanager
def _endings(folder: Path, process: int) -> Iterator[None]:
    with ending_in_log(folder / LOG_FILE, process), saying_what_is_saved(folder, lambda: _saved(folder)):
        yield


def _saved(folder: Path) -> str:
    """What there is of a run that has to end."""
    steps = steps_saved(folder)
    if steps is None:
        return "no step is saved yet"
    return f"{steps} steps are saved; make room and go on with: python train.py resume={folder}"


def _open_folder(composed: DictConfig, folder: Path) -> Config:
    """Write the configuration into the folder."""
    overrides = list(HydraConfig.get().overrides.task)
    config, resumed = final_config(plain(composed), overrides)
    if config["init_from"] is not None:
        config["init_from"] = str(starting_folder(config["init_from"], Path(config["output_root"])))
    command = f"python train.py {shlex.join(overrides)}"
    append_line(folder / LOG_FILE, command)
    stored = None if resumed is None else read_config(folder)
    if config != stored:
        for line in changes(stored or config, config):
            log.info(line)
        write_config(folder, config, command)
    return config


def run(config: Config, folder: Path, begun: Callable[[], None]) -> None:
    """Build what the configuration names, and train. `begun` is called when the run's first result is on the disk."""
    # Only now: these take seconds, and everything has been checked.
    from lmm_r1.training.run import run_reinforcement, run_supervised

    parts = _parts(config, folder, begun)
    if config["stage_name"] == "sft":
        run_supervised(parts, instantiate(config["sft"], _convert_="all"))
    else:
        run_reinforcement(parts, instantiate(config["algorithm"], _convert_="all"))


def _parts(config: Config, folder: Path, begun: Callable[[], None]) -> Parts:
    from lmm_r1.training.parts import Parts
    from lmm_r1.training.settings import RunSettings

    def build(group: str) -> Any:
        return instantiate(config[group], _convert_="all")

    return Parts(
        run=RunSettings(
            stage=config["stage_name"],
            seed=config["seed"],
            folder=folder,
            init_from=config["init_from"],
            resume=(folder / "checkpoints").is_dir(),
            replay=replay_command(folder, config),
            cache=Path(config["output_root"]) / CACHE,
            min_usable_share=config["min_usable_share"],
            max_bad_rows=config["max_bad_rows"],
        ),
        model=build("model"),
        rollout=build("rollout"),
        trainer=build("trainer"),
        train_data=instantiate(config["dataset"]["train"], _convert_="all"),
        validation_data=instantiate(config["dataset"]["validation"], _convert_="all"),
        reward=build("reward"),
        wandb_run=_wandb_run(config, folder),
        config=config,
        begun=begun,
    )


def _wandb_run(config: Config, folder: Path) -> WandbRun | None:
    if config["logger"]["wandb"] is None or process_number() != 0:
        return None
    # One W&B run for a run's folder, resumed or not; an agent of a sweep brings the id of its own.
    run_id = None if "WANDB_RUN_ID" in os.environ else f"{config['stage_name']}-{folder.name}"
    build = instantiate(config["logger"]["wandb"], _convert_="all")
    return build(folder, run_id, config, sample_rows=config["logger"]["sample_table_rows"])
