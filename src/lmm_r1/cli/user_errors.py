"""How bad input ends: one line on stderr, exit code 2."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from hydra.errors import InstantiationException

from lmm_r1.errors import UserError

EXIT_CODE = 2


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Print a `UserError` without its traceback and exit; every other exception passes unchanged."""
    try:
        yield
    except Exception as error:
        mistake = user_error_in(error)
        if mistake is None:
            raise
        print(f"error: {mistake}", file=sys.stderr)
        raise SystemExit(EXIT_CODE) from None


def user_error_in(error: BaseException) -> str | None:
    """The one line of a `UserError`, also where Hydra has wrapped it because a constructor raised it; else None."""
    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split()) if isinstance(error, UserError) else None
