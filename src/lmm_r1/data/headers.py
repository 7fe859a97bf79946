"""What the header of a picture says, without decoding the picture."""

from __future__ import annotations

import hashlib
from io import BytesIO

from PIL import Image

from lmm_r1.data.pictures import Picture
from lmm_r1.errors import BadRowError

HEADER_BYTES = 4096
"""Of embedded pictures, what tells two of one length apart."""


def stored_size(picture: Picture, name: str) -> tuple[int, int]:
    """Width and height in pixels as they are stored: a photograph that is to be turned has them the other way round.

    Args:
        name: what to call the picture in a message.

    Raises:
        BadRowError: the picture is gone or its header cannot be read.
    """
    try:
        with Image.open(BytesIO(picture) if isinstance(picture, bytes) else picture) as image:
            return image.size
    except Exception as error:  # Pillow's readers raise whatever a damaged file leads them to.
        raise BadRowError("picture that cannot be read", f"{name}: {str(error) or type(error).__name__}") from error


def identity(picture: bytes) -> str:
    """Text that tells embedded pictures apart: the length and the header."""
    return f"{len(picture)} {hashlib.sha256(picture[:HEADER_BYTES]).hexdigest()}"
