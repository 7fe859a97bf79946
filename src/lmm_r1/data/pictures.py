"""Pictures from files or from bytes, found in a row and decoded when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from lmm_r1.data.colours import as_rgb
from lmm_r1.data.rows import BadRowError
from lmm_r1.errors import UserError

Picture = Path | bytes
"""An encoded picture: its file, or the bytes that a file would hold."""

LONGEST_PATH = 300
"""Characters of a path that a message shows."""


def find_pictures(value: Any, folder: Path) -> tuple[Picture, ...]:
    """The pictures that a row's field names, none decoded yet.

    Args:
        value: nothing, a path relative to `folder`, bytes, a map with `bytes` or `path` as the library `datasets`
            writes it, or a list of these.

    Raises:
        BadRowError: when a file is missing or the value is something else.
    """
    if value is None or value == "":
        return ()
    if isinstance(value, list):
        return tuple(picture for entry in value for picture in find_pictures(entry, folder))
    if isinstance(value, Mapping):
        return find_pictures(value.get("bytes") or value.get("path"), folder)
    if isinstance(value, bytes):
        return (value,)
    if not isinstance(value, str):
        raise BadRowError(f"picture given as {type(value).__name__}")
    path = folder / value
    if not _is_file(path):
        raise BadRowError("picture file missing", _shown(path))
    return (path,)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that no file can have, such as a picture's own data
        return False


def _shown(path: Path) -> str:
    text = str(path)
    return text if len(text) <= LONGEST_PATH else f"{text[:LONGEST_PATH]}…"


def decode(picture: Picture, name: str) -> Image.Image:
    """The first frame, as `colours.as_rgb` shows it.

    Args:
        name: what to call the picture in a message.

    Raises:
        UserError: when the content is not a picture.
    """
    try:
        with Image.open(BytesIO(picture) if isinstance(picture, bytes) else picture) as image:
            return as_rgb(image)
    except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to, RuntimeError included.
        unknown = isinstance(error, UnidentifiedImageError)
        reason = "in no format that Pillow knows" if unknown else str(error) or type(error).__name__
        raise UserError(f"{name}: cannot be read as a picture ({reason}); replace it or remove its row") from error
