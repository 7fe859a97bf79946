"""Checks of one setting: each raises a `UserError` that names the key, what it must be, and what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, isfinite
from typing import Any

from lmm_r1.cli.nearest import did_you_mean, nearest_option
from lmm_r1.errors import UserError

Config = Mapping[str, Any]
"""A resolved configuration, or any part of one, as plain dictionaries."""


def lookup(config: Config, key: str) -> Any:
    """The value at a dotted key; None where the path ends early."""
    node: Any = config
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return None
        node = node[part]
    return node


def whole_number(config: Config, key: str, least: int) -> int:
    value = lookup(config, key)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UserError(f"{key}={_shown(value)}: must be a whole number of at least {least}")
    return value


def number(
    config: Config, key: str, least: float, most: float = inf, *, above: bool = False, below: bool = False
) -> float:
    """A finite number between `least` and `most`; `above` and `below` leave out the bounds themselves."""
    value = lookup(config, key)
    valid = isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)
    if valid and least <= value <= most and not (above and value == least) and not (below and value == most):
        return value
    lower = f" above {least:g}" if above else f" of at least {least:g}"
    upper = f" and {'below' if below else 'at most'} {most:g}"
    bounds = ("" if least == -inf else lower) + ("" if most == inf else upper)
    raise UserError(f"{key}={_shown(value)}: must be a number{bounds}")


def optional_whole_number(config: Config, key: str, least: int) -> int | None:
    return None if lookup(config, key) is None else whole_number(config, key, least)


def truth(config: Config, key: str) -> bool:
    value = lookup(config, key)
    if not isinstance(value, bool):
        raise UserError(f"{key}={_shown(value)}: must be true or false")
    return value


def text(config: Config, key: str) -> str:
    value = lookup(config, key)
    if not isinstance(value, str) or not value:
        raise UserError(f"{key}={_shown(value)}: must be text")
    return value


def one_of(config: Config, key: str, options: Sequence[str]) -> str:
    value = lookup(config, key)
    if value not in options:
        hint = did_you_mean(nearest_option(str(value), options))
        raise UserError(f"{key}={_shown(value)}: must be one of {', '.join(options)}{hint}")
    return value


def some_of(config: Config, key: str, options: Sequence[str]) -> list[str]:
    values = lookup(config, key)
    if not isinstance(values, list) or not values:
        raise UserError(f"{key}={_shown(values)}: must be a list with some of {', '.join(options)}")
    for value in values:
        if value not in options:
            hint = did_you_mean(nearest_option(str(value), options))
            raise UserError(f"{key}: {_shown(value)} is not one of {', '.join(options)}{hint}")
    return values


def _shown(value: Any) -> str:
    return "null" if value is None else str(value)
