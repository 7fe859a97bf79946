"""Composition with Hydra, and messages for people when it fails.

Hydra lists the options of a misspelt group but suggests nothing for a misspelt key except to add it with `+`, which
then passes in silence. Here the command line is compared with what the chosen groups really hold, before anything
heavy is imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lmm_r1.cli.command_line import parse_overrides
from lmm_r1.cli.nearest import did_you_mean, nearest_key, nearest_option
from lmm_r1.cli.paths import CONFIG_FOLDER
from lmm_r1.errors import UserError

NOT_A_VALUE = object()
TYPE_NAMES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a group of keys",
}


def compose_config(name: str, overrides: Sequence[str]) -> DictConfig:
    """Compose `conf/<name>.yaml` with the command line's overrides and check every one of them.

    Raises:
        UserError: a misspelt group, option or key, a value of the wrong type, a value that is missing.
    """
    parsed = parse_overrides(overrides)
    for override, text in zip(parsed, overrides, strict=True):
        if override.is_sweep_override():
            raise UserError(f"{text}: several values need -m, which runs them one after the other")
    values = [override for override in parsed if not _is_choice(override)]
    for override in parsed:
        if _is_choice(override):
            _check_choice(override)
    with initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
        chosen = _compose(
            name, [text for override, text in zip(parsed, overrides, strict=True) if _is_choice(override)]
        )
        known = list(keys_of(chosen))
        for override in values:
            _check_key(override, chosen, known)
        config = _compose(name, overrides)
    for override in values:
        _check_type(override, chosen, config)
    _check_missing(config)
    return config


def groups() -> dict[str, list[str]]:
    """The options of each group of `conf/`; a leading underscore marks a file that others build on."""
    folders = sorted(path for path in CONFIG_FOLDER.iterdir() if path.is_dir())
    return {
        folder.name: sorted(file.stem for file in folder.glob("*.yaml") if not file.stem.startswith("_"))
        for folder in folders
    }


def keys_of(config: DictConfig, prefix: str = "") -> Iterator[str]:
    """Every dotted key, inner and leaf."""
    for key in config:
        yield f"{prefix}{key}"
        node = config._get_node(key)
        if isinstance(node, DictConfig) and not node._is_none() and not node._is_missing():
            yield from keys_of(node, f"{prefix}{key}.")


def plain(config: DictConfig) -> dict[str, Any]:
    """Resolved, as dictionaries, lists and scalars.

    Raises:
        UserError: an interpolation leads nowhere.
    """
    try:
        return OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(_first_line(error)) from error


def _compose(name: str, overrides: Sequence[str]) -> DictConfig:
    try:
        return compose(name, list(overrides))
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(_first_line(error)) from error


def _is_choice(override: Override) -> bool:
    return (CONFIG_FOLDER / override.key_or_group).is_dir()


def _is_hydra(override: Override) -> bool:
    return override.key_or_group.split(".")[0] == "hydra" or override.key_or_group.startswith("hydra/")


def _check_choice(override: Override) -> None:
    group, option, options = override.key_or_group, override.value(), groups()[override.key_or_group]
    if override.is_add() or override.is_force_add() or override.is_delete():
        raise UserError(f"{override.input_line}: choose an option with {group}=<option>, without a sign in front")
    if option not in options:
        hint = did_you_mean(nearest_option(str(option), options))
        raise UserError(f"{group}={option}: no such option; choose one of {', '.join(options)}{hint}")


def _check_key(override: Override, chosen: DictConfig, known: Sequence[str]) -> None:
    key = override.key_or_group
    if _is_hydra(override):
        return
    if override.is_add() or override.is_delete() or (override.is_force_add() and key not in known):
        if not _is_free(key, chosen, known):
            hint = did_you_mean(nearest_key(key, known))
            raise UserError(f"{override.input_line}: keys can neither be added nor removed here{hint}")
    elif key not in known:
        hint = did_you_mean(nearest_key(key, [*known, *groups()]))
        raise UserError(f"{key}: no such key{hint}")


def _is_free(key: str, chosen: DictConfig, known: Sequence[str]) -> bool:
    """Whether `key` lies in a mapping of free names, such as reward terms: below the top and not a call's arguments."""
    parent = key.rpartition(".")[0]
    while parent and parent not in known:
        parent = parent.rpartition(".")[0]
    node = OmegaConf.select(chosen, parent) if parent else None
    return isinstance(node, DictConfig) and "_target_" not in node and "." in parent


def _check_type(override: Override, chosen: DictConfig, config: DictConfig) -> None:
    key = override.key_or_group
    if _is_hydra(override) or override.is_delete():
        return
    default, value = _value(chosen, key), _value(config, key)
    if default is NOT_A_VALUE or default is None or value is None:
        return
    expected, given = type(default), type(value)
    if expected is given or (expected is float and given is int):
        return
    cure = f"; quote it: \"{key}='{value}'\"" if expected is str and given in (int, float, bool) else ""
    raise UserError(f"{key}={_brief(value)}: must be {TYPE_NAMES[expected]}, not {TYPE_NAMES[given]}{cure}")


def _value(config: DictConfig, key: str) -> Any:
    """The plain value at `key`; `NOT_A_VALUE` where there is none to compare with."""
    try:
        value = OmegaConf.select(config, key, throw_on_missing=True)
    except OmegaConfBaseException:
        return NOT_A_VALUE
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value


def _check_missing(config: DictConfig) -> None:
    missing = OmegaConf.missing_keys(config)
    for key in keys_of(config):
        if key in missing:
            parent = OmegaConf.select(config, key.rpartition(".")[0]) if "." in key else config
            source = parent.get("download")
            hint = f"; {source}" if source else ""
            raise UserError(f"{key} is missing: give {key}=<value>{hint}")


def _brief(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _first_line(error: Exception) -> str:
    return next(line for line in str(error).splitlines() if line.strip())
