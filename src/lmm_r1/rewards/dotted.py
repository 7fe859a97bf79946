"""Objects by their dotted name, as a configuration writes them: what a worker can import for itself."""

from __future__ import annotations

from importlib import import_module

from lmm_r1.errors import UserError


def by_dotted_name(name: str, key: str, purpose: str) -> object:
    """What `module.name` stands for. Raises UserError naming `key` and its `purpose` where there is none."""
    module, _, attribute = name.rpartition(".")
    if not module:
        raise UserError(f"{key}={name or 'null'}: must be {purpose}, as module.name")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(f"{key}={name}: must be {purpose}, but: {error}") from error
