"""The command line as its users meet it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from lmm_r1.cli.paths import register_resolvers
from tests.running import HANG_SECONDS

HEAVY = ("torch", "transformers", "vllm", "lightning")


class Outcome(NamedTuple):
    code: int
    out: str
    error: str
    heavy: list[str]
    """The heavy libraries that had been imported when the command ended."""


@pytest.fixture(scope="session", autouse=True)
def resolvers() -> None:
    register_resolvers()


@pytest.fixture(scope="session")
def run_script(repository) -> Callable[..., Outcome]:
    """Run train.py or eval.py in a fresh interpreter and see how it ends."""
    probe = (
        "import runpy, sys\n"
        "script, sys.argv = sys.argv[1], sys.argv[1:]\n"
        "code = 0\n"
        "try:\n"
        "    runpy.run_path(script, run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    code = end.code or 0\n"
        f"print('heavy:', *[name for name in {HEAVY} if name in sys.modules])\n"
        "sys.exit(code)\n"
    )

    def run(script: str, *arguments: str, folder: Path) -> Outcome:
        ended = subprocess.run(
            [sys.executable, "-c", probe, str(repository / script), *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
        )
        out, _, heavy = ended.stdout.rpartition("heavy:")
        return Outcome(ended.returncode, out, ended.stderr, heavy.split())

    return run
