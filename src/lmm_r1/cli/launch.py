"""What an entry point does before Hydra: check everything that was asked for, in under two seconds.

`python train.py stage=fre` composes the configuration here first, so that a mistake ends in one line, before torch,
transformers or vLLM are imported; then `@hydra.main` composes it again and makes the run's folder.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from lmm_r1.cli.command_line import MULTIRUN_FLAGS, overrides_in, sweep_jobs
from lmm_r1.cli.composition import compose_config, groups
from lmm_r1.cli.environment import prepare_environment
from lmm_r1.cli.launchers import STARTED_BY_US, check_launcher
from lmm_r1.cli.multirun import run_jobs
from lmm_r1.cli.paths import CONFIG_FOLDER, register_resolvers
from lmm_r1.cli.run_folder import is_first_process
from lmm_r1.cli.user_errors import one_line_errors


class Command(Protocol):
    """One of the two things that can be done: `TrainCommand`, `EvalCommand`."""

    name: str
    """Of the script and of its configuration in `conf/`."""
    help: str
    """What it does, with commands to copy."""

    def answer(self, overrides: Sequence[str]) -> bool:
        """Whether the overrides ask a question that this has answered, so that nothing is left to be done."""
        ...

    def check(self, jobs: Sequence[Sequence[str]]) -> Path | None:
        """Raise `UserError` unless each job's overrides can run, in order; give the folder to go on in, if any."""
        ...


def launch(main: Callable[[], None], command: Command) -> None:
    """Check the command line, then run `main`, what `@hydra.main` made of the entry point's function."""
    prepare_environment()
    register_resolvers()
    with one_line_errors():
        check_launcher(f"{command.name}.py", os.environ)
        os.environ[STARTED_BY_US] = str(os.getpid())
        if is_first_process():
            _prepare(command)
    main()


def _prepare(command: Command) -> None:
    arguments = sys.argv[1:]
    overrides = overrides_in(arguments)
    flags = [argument for argument in arguments if argument.startswith("-")]
    if flags and set(flags) <= set(MULTIRUN_FLAGS):
        with initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
            jobs = sweep_jobs(overrides, GlobalHydra.instance().config_loader())
        command.check(jobs)
        raise SystemExit(run_jobs(Path(sys.argv[0]).resolve(), jobs))
    if "--help" in flags or "-h" in flags:
        _print_help(command)
        raise SystemExit(0)
    if flags:
        # Hydra answers a question, such as --cfg job.
        compose_config(command.name, overrides)
        return
    if command.answer(overrides):
        raise SystemExit(0)
    folder = command.check([overrides])
    if folder is not None:
        sys.argv.append(f"hydra.run.dir='{folder}'")


def _print_help(command: Command) -> None:
    print(command.help)
    print("\nChoose with <group>=<option>:")
    for group, options in groups(command.name).items():
        print(f"  {group:<11} {', '.join(options)}")
    print("\nSet any key of what was chosen with <key>=<value>; `--cfg job --resolve` prints them all and stops.")
