"""Whether a run can write where it is told to, tried before anything heavy is imported."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lmm_r1.atomic_files import naming_refusals
from lmm_r1.cli.checks import Config
from lmm_r1.cli.command_line import parse_overrides
from lmm_r1.errors import UnwritableError, UserError


def check_writable(folder: Path, setting: str) -> None:
    """Try to make a file where `folder` is, or will be made; nothing is left of it.

    Args:
        setting: what decides the folder, to be named in the message.

    Raises:
        UserError: nothing can be made there.
    """
    nearest = folder
    while not nearest.exists() and not nearest.is_symlink():
        nearest = nearest.parent
    if not nearest.is_dir():
        raise UserError(f"{setting}: {nearest} is not a folder; name one that can be written")
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise UserError(f"{setting}: {nearest} cannot be written ({error.strerror}); name another folder") from error


def check_place(config: Config, stage: str, resumed: Path | None, overrides: Sequence[str]) -> None:
    """Raises `UserError` where the folder of the run cannot be made, or not be written if it is to be resumed."""
    elsewhere = [override for override in parse_overrides(overrides) if override.key_or_group == "hydra.run.dir"]
    if resumed is not None:
        check_writable(resumed, f"resume={resumed}")
    elif elsewhere and "${" not in elsewhere[-1].input_line:
        check_writable(Path(elsewhere[-1].value()), elsewhere[-1].input_line)
    else:
        root = config["output_root"]
        check_writable(Path(root) / stage, f"output_root={root}")


@contextmanager
def saying_what_is_saved(folder: Path, saved: Callable[[], str]) -> Iterator[None]:
    """Where the disk refuses to be written, end in one line that says what there is of the run.

    Raises:
        UnwritableError: the block failed because the disk is full or refuses; other exceptions pass.
    """
    try:
        with naming_refusals(folder):
            yield
    except UnwritableError as error:
        raise UnwritableError(f"{error}; {saved()}") from error
