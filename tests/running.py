"""Real runs of the project's scripts, each in a process of its own: vLLM allows one engine a process.

The processes are forked from one that has the libraries imported, for importing them takes longer than a small run.
That a run in a process that starts from nothing is the same, bit for bit, is what `test_resume.py` sees.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from unittest import mock

REPOSITORY = Path(__file__).resolve().parent.parent
HANG_SECONDS = 600.0
"""After which a test gives up on what should have ended long ago. No test waits so long unless something hangs, and
none may allow less: a busy machine is no fault."""
ENVIRONMENT = {
    "PYTHONPATH": f"{REPOSITORY / 'src'}:{REPOSITORY}",
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "COLUMNS": "200",
}


@dataclass(frozen=True)
class Running:
    """A script at work. `wait` gives its exit code, minus the signal's number where one ended it, and its output."""

    process: BaseProcess
    log: Path

    def wait(self, seconds: float = HANG_SECONDS) -> tuple[int, str]:
        """Raises TimeoutError, and kills the process, when it takes longer."""
        self.process.join(seconds)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
            raise TimeoutError(self.log.read_text()[-6000:])
        output = self.log.read_text()
        self.log.unlink()
        return self.process.exitcode, output


def start(*command: str, folder: Path = REPOSITORY, environment: Mapping[str, str] | None = None) -> Running:
    """Start what `python <command>` would: a script's path, or `-m` and a module, and the arguments."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.preloaded"])
    with mock.patch.dict(os.environ, ENVIRONMENT):
        # OpenMP reads its variables once, in the process that the runs are forked from.
        forkserver.ensure_running()
        variables = os.environ | dict(environment or {})
    handle, log = tempfile.mkstemp(suffix=".log")
    os.close(handle)
    process = context.Process(target=_become, args=(command, str(folder), variables, log))
    process.start()
    return Running(process, Path(log))


def run(*command: str, expect: int = 0, folder: Path = REPOSITORY, environment: Mapping[str, str] | None = None) -> str:
    """What `python <command>` prints; its exit code is checked."""
    code, output = start(*command, folder=folder, environment=environment).wait()
    assert code == expect, f"{command} ended with {code}\n{output[-6000:]}"
    return output


def run_afresh(*command: str) -> None:
    """The same in a process that starts from nothing, as a user's does. Raises CalledProcessError."""
    subprocess.run(
        [sys.executable, *command], cwd=REPOSITORY, env=os.environ | ENVIRONMENT, check=True, timeout=HANG_SECONDS
    )


def _become(command: Sequence[str], folder: str, variables: Mapping[str, str], log: str) -> None:
    """Be `python <command>` from here on."""
    with open(log, "wb", buffering=0) as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    sys.path[:0] = variables["PYTHONPATH"].split(":")
    try:
        if command[0] == "-m":
            sys.argv = list(command[1:])
            runpy.run_module(command[1], run_name="__main__", alter_sys=True)
        else:
            sys.path.insert(0, str(Path(folder, command[0]).parent))
            sys.argv = list(command)
            runpy.run_path(command[0], run_name="__main__")
    finally:
        # A forked process of multiprocessing's ends without them.
        atexit._run_exitfuncs()
