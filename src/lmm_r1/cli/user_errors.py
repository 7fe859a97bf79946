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
    except UserError as error:
        _exit(error)
    except InstantiationException as error:
        # Hydra wraps what a constructor raises.
        if not isinstance(error.__cause__, UserError):
            raise
        _exit(error.__cause__)


def _exit(error: UserError) -> None:
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    raise SystemExit(EXIT_CODE) from None
