"""Pictures as they are kept for the eye: scaled down, as PNG where that is small, else as JPEG."""

from __future__ import annotations

from hashlib import sha256
from io import BytesIO

from PIL import Image


def pixel_hash(image: Image.Image) -> str:
    """SHA-256 over size and pixels: what tells one picture from another, however either is stored."""
    return sha256(f"{image.size}".encode() + image.convert("RGB").tobytes()).hexdigest()


def encoded(image: Image.Image, longest_side: int, most_png_bytes: int) -> tuple[str, bytes]:
    """`"png"` or `"jpeg"`, and the file's content.

    Args:
        longest_side: in pixels; a smaller picture keeps its size.
        most_png_bytes: above this a picture is a photograph, and JPEG takes a tenth. A PNG has the pixels as they were.
    """
    small = scaled_down(image, longest_side)
    # On a photograph zlib's usual effort takes eight times as long as its least, and what it gains is then thrown away.
    if len(_saved(small, "PNG", compress_level=1)) <= 2 * most_png_bytes:
        content = _saved(small, "PNG")
        if len(content) <= most_png_bytes:
            return "png", content
    return "jpeg", _saved(small, "JPEG", quality=85)


def scaled_down(image: Image.Image, longest_side: int) -> Image.Image:
    """A copy in RGB, its longer side at most `longest_side` pixels."""
    small = image.convert("RGB")
    small.thumbnail((longest_side, longest_side), Image.Resampling.LANCZOS)
    return small


def _saved(image: Image.Image, kind: str, **options: int) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
