"""Composition with Hydra, and messages for people when it fails.

Hydra lists the options of a misspelt group but suggests nothing for a misspelt key except to add it with `+`, which
then passes in silence. Here the command line is compared with what the chosen groups really hold, before anything
heavy is imported.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lmm_r1.cli.command_line import parse_overrides
from lmm_r1.cli.nearest import did_you_mean, nearest_key, nearest_option
from lmm_r1.cli.paths import CONFIG_FOLDER
from lmm_r1.cli.validate_algorithm import refuse_biased_sampling
from lmm_r1.errors import UserError

TYPE_NAMES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a group of keys",
}
MISSING = "???"
"""How a YAML file says that a value must be given."""


def compose_config(name: str, overrides: Sequence[str], *, optional: Sequence[str] = ()) -> DictConfig:
    """Compose `conf/<name>.yaml` with the command line's overrides and check every one of them.

    Args:
        optional: dotted keys that are null where a value would be asked for.

    Raises:
        UserError: a misspelt group, option or key, a value of the wrong type, a value that is missing.
    """
    parsed = parse_overrides(overrides)
    options = groups(name, _config_folders(parsed))
    choices = [override for override in parsed if override.key_or_group in options]
    # Hydra checks its own keys, and needs its search path from the start.
    settings_of_hydra = [override for override in parsed if override.key_or_group.startswith(("hydra.", "hydra/"))]
    values = [override for override in parsed if override not in choices + settings_of_hydra]
    for override in parsed:
        if override.is_sweep_override():
            listed = override.input_line.replace("=", "=[", 1) + "]"
            cure = f"; to have them all at once: '{listed}'" if override.key_or_group in lists(name) else ""
            raise UserError(f"{override.input_line}: several values need -m, which runs them one after the other{cure}")
    for override in choices:
        _check_choice(override, options[override.key_or_group], several=override.key_or_group in lists(name))
    with initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
        chosen = _compose(name, [override.input_line for override in choices + settings_of_hydra])
        unresolved = OmegaConf.to_container(chosen)
        known = {*keys_of(unresolved), *options}
        for override in values:
            _check_key(override, unresolved, known)
        config = _compose(name, overrides) if values else chosen
    for override in values:
        _check_type(override, chosen, config)
    for key in optional:
        group, _, leaf = key.rpartition(".")
        if OmegaConf.is_missing(config[group], leaf):
            config[group][leaf] = None
    _check_missing(OmegaConf.to_container(config))
    return config


def groups(name: str, folders: Sequence[Path] = (CONFIG_FOLDER,)) -> dict[str, list[str]]:
    """The groups that `conf/<name>.yaml` chooses from, with the options that the folders have for them.

    A leading underscore marks a file that others build on.
    """
    return {
        group: sorted({file.stem for folder in folders for file in (folder / group).glob("[!_]*.yaml")})
        for group in _defaults(name)
    }


def lists(name: str) -> set[str]:
    """The groups of `conf/<name>.yaml` from which several options may be chosen, or none."""
    return {group for group, option in _defaults(name).items() if isinstance(option, list)}


def _defaults(name: str) -> dict[str, Any]:
    """The groups with their defaults, in order."""
    entries = yaml.safe_load((CONFIG_FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))["defaults"]
    return {group: option for entry in entries if isinstance(entry, dict) for group, option in entry.items()}


def plain(config: DictConfig) -> dict[str, Any]:
    """Resolved, as dictionaries, lists and scalars.

    Raises:
        UserError: an interpolation leads nowhere.
    """
    try:
        return OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(_first_line(error)) from error


def keys_of(config: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Every dotted key, inner and leaf."""
    for key, value in config.items():
        yield f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from keys_of(value, f"{prefix}{key}.")


def _compose(name: str, overrides: Sequence[str]) -> DictConfig:
    try:
        return compose(name, list(overrides))
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(_first_line(error)) from error


def _config_folders(overrides: Sequence[Override]) -> list[Path]:
    """`conf/`, and what `hydra.searchpath=[file://<folder>]` adds to it."""
    added = [override.value() for override in overrides if override.key_or_group == "hydra.searchpath"]
    entries = [entry for value in added for entry in (value if isinstance(value, list) else [value])]
    return [CONFIG_FOLDER, *(Path(str(entry).removeprefix("file://")) for entry in entries)]


def _check_choice(override: Override, options: Sequence[str], *, several: bool) -> None:
    group = override.key_or_group
    if override.is_add() or override.is_force_add() or override.is_delete():
        raise UserError(f"{override.input_line}: choose an option with {group}=<option>, without a sign in front")
    value = override.value()
    for option in value if several and isinstance(value, list) else [value]:
        if option not in options:
            hint = did_you_mean(nearest_option(str(option), options))
            choose = "some of" if several else "one of"
            raise UserError(f"{override.input_line}: no such option; choose {choose} {', '.join(options)}{hint}")


def _check_key(override: Override, config: Mapping[str, Any], known: Collection[str]) -> None:
    key = override.key_or_group
    refuse_biased_sampling(key)
    if override.is_add() or override.is_delete() or (override.is_force_add() and key not in known):
        if not _is_free(key, config):
            hint = did_you_mean(nearest_key(key, known))
            raise UserError(f"{override.input_line}: keys can neither be added nor removed here{hint}")
    elif key not in known:
        hint = did_you_mean(nearest_key(key, known))
        raise UserError(f"{key}: no such key{hint}")


def _is_free(key: str, config: Mapping[str, Any]) -> bool:
    """Whether `key` lies in a mapping of free names inside a group, such as `reward.terms`, and names no argument."""
    node: Any = config
    depth = 0
    for part in key.split(".")[:-1]:
        if not isinstance(node.get(part), Mapping):
            break
        node, depth = node[part], depth + 1
    return depth >= 2 and "_target_" not in node


def _check_type(override: Override, chosen: DictConfig, config: DictConfig) -> None:
    """The default's type is the setting's type; a default of null, or none at all, takes anything."""
    key = override.key_or_group
    if override.is_delete():
        return
    default, value = _value(chosen, key), _value(config, key)
    if default is None or value is None:
        return
    expected, given = type(default), type(value)
    if expected is given or (expected is float and given is int):
        return
    cure = f"; quote it: \"{key}='{value}'\"" if expected is str and given in (int, float, bool) else ""
    raise UserError(f"{override.input_line}: must be {TYPE_NAMES[expected]}, not {TYPE_NAMES[given]}{cure}")


def _value(config: DictConfig, key: str) -> Any:
    """The plain value at `key`; None where it is missing or made from something that is."""
    try:
        value = OmegaConf.select(config, key)
    except OmegaConfBaseException:
        return None
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value


def _check_missing(config: Mapping[str, Any], prefix: str = "") -> None:
    for key, value in config.items():
        if value == MISSING:
            source = f"; get it from: {config['download']}" if "download" in config else ""
            raise UserError(f"{prefix}{key} is missing: give {prefix}{key}=<value>{source}")
        if isinstance(value, Mapping):
            _check_missing(value, f"{prefix}{key}.")


def _first_line(error: Exception) -> str:
    return next(line for line in str(error).splitlines() if line.strip())
