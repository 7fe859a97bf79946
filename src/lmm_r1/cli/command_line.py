"""The words of the command line: overrides, flags, sweeps."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from lmm_r1.errors import UserError

MULTIRUN_FLAGS = ("-m", "--multirun")


def overrides_in(arguments: Sequence[str]) -> list[str]:
    """The arguments that set something, in order: `key=value`, `+key=value`, `~key`.

    Raises:
        UserError: for `--key=value` and for a bare word, which Hydra would answer with its grammar.
    """
    overrides = []
    expects_value = False
    for argument in arguments:
        if argument.startswith("--") and "=" in argument:
            raise UserError(f"{argument}: settings are written without dashes, {argument.lstrip('-')}")
        if argument.startswith("-"):
            expects_value = argument not in MULTIRUN_FLAGS
        elif "=" in argument or argument.startswith("~"):
            overrides.append(argument)
            expects_value = False
        elif expects_value:
            expects_value = False
        else:
            raise UserError(f"{argument}: settings are written as key=value, for example stage=fre")
    return overrides


def parse_overrides(overrides: Sequence[str], loader: ConfigLoader | None = None) -> list[Override]:
    """Hydra's reading of each override; `loader` lets `glob(*)` find the options of a group.

    Raises:
        UserError: names the first that cannot be read.
    """
    parser = OverridesParser.create(config_loader=loader)
    parsed = []
    for override in overrides:
        try:
            parsed += parser.parse_overrides([override])
        except HydraException as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"{override}: cannot be read ({reason}); quote values with special signs") from error
    return parsed


def sweep_jobs(overrides: Sequence[str], loader: ConfigLoader) -> list[list[str]]:
    """Every combination of a multirun's values, in the order written, the last key varying fastest.

    >>> sweep_jobs(["stage=fre,mgt", "seed=1"], loader)
    [['stage=fre', 'seed=1'], ['stage=mgt', 'seed=1']]
    """
    alternatives = []
    for override, text in zip(parse_overrides(overrides, loader), overrides, strict=True):
        if override.is_discrete_sweep():
            key = override.get_key_element()
            alternatives.append([f"{key}={value}" for value in override.sweep_string_iterator()])
        elif override.is_sweep_override():
            raise UserError(f"{text}: -m takes values one by one, for example a,b or range(1,4), not an interval")
        else:
            alternatives.append([text])
    return [list(job) for job in itertools.product(*alternatives)]
