"""Pictures from files or from bytes, decoded to RGB."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from lmm_r1.data.rows import BadRowError
from lmm_r1.errors import UserError

Picture = Path | bytes
"""An encoded picture: its file, or the bytes that a file would hold."""


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
    if not path.is_file():
        raise BadRowError("picture file missing")
    return (path,)


def decode(picture: Picture, name: str) -> Image.Image:
    """The first frame in RGB, upright, transparency laid over white.

    Args:
        name: what to call the picture in a message.

    Raises:
        UserError: when the content is not a picture.
    """
    try:
        with Image.open(BytesIO(picture) if isinstance(picture, bytes) else picture) as image:
            upright = ImageOps.exif_transpose(image)
            if not upright.has_transparency_data:
                return upright.convert("RGB")
            layer = upright.convert("RGBA")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{name}: cannot be read as a picture ({error}); replace it or remove its row") from error
    page = Image.new("RGBA", layer.size, (255, 255, 255, 255))
    return Image.alpha_composite(page, layer).convert("RGB")
