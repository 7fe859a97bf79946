"""`-m`: several runs in order, each in a process of its own, because vLLM allows one engine per process."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def run_jobs(script: Path, jobs: Sequence[Sequence[str]]) -> int:
    """Run `script` once for each job's overrides; stop at the first that fails.

    Returns:
        The exit code of the last job that ran.
    """
    for number, job in enumerate(jobs, start=1):
        command = [sys.executable, str(script), *job]
        print(f"[{number}/{len(jobs)}] {shlex.join(['python', script.name, *job])}", flush=True)
        code = _run(command)
        if code != 0:
            print(f"[{number}/{len(jobs)}] ended with exit code {code}; the rest does not run", file=sys.stderr)
            return code
    return 0


def _run(command: Sequence[str]) -> int:
    """The exit code of `command`, which receives SIGTERM and Ctrl-C and decides itself how to end."""
    process = subprocess.Popen(command)
    previous = {
        # The terminal sends Ctrl-C to the job as well; SIGTERM comes here alone.
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: process.terminate()),
    }
    try:
        code = process.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code
