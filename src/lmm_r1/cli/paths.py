"""Where the repository lies, and `${repository:…}` for the configuration."""

from __future__ import annotations

from pathlib import Path

from omegaconf import OmegaConf

REPOSITORY = Path(__file__).resolve().parents[3]
"""The checkout: the package is installed from it in editable mode, because `conf/` and `models/` belong to it."""

CONFIG_FOLDER = REPOSITORY / "conf"


def register_resolvers() -> None:
    """Make `${repository:models/tiny}` an absolute path, wherever the command is run from."""
    OmegaConf.register_new_resolver("repository", lambda path: str(REPOSITORY / path), replace=True)
