"""Any picture that Pillow opens as a viewer shows it: upright, in 8-bit sRGB, transparency over white."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image, ImageCms, ImageOps

WHITE_OF_FORMAT = {"PNG": 65535, "PPM": 65535}
"""What is white in mode I, where Pillow widens the 16 bits of a format to 32."""
PROFILED = {"L": "GRAY", "RGB": "RGB ", "CMYK": "CMYK", "LAB": "Lab "}
"""Modes that a colour profile can speak of, and the colour space that it must then name."""


def as_rgb(image: Image.Image) -> Image.Image:
    """The current frame in RGB; `image` itself is loaded and turned.

    Grey values of 16 bits keep their share of the format's white. Those of 32 bits and floats have no white: floats in
    [0, 1] are taken as shares, and others are spread from the least to the greatest. A colour profile is followed where
    it can be read and is of the picture's colour space.
    """
    _set_transparent_colour(image)
    ImageOps.exif_transpose(image, in_place=True)
    shown = _in_eight_bits(image) if image.mode.startswith(("I", "F")) else image
    if not shown.has_transparency_data:
        return _in_srgb(shown)
    layer = shown.convert("LA" if shown.mode in ("L", "LA", "La") else "RGBA")
    colours = _in_srgb(layer.convert(layer.mode.removesuffix("A")))
    page = Image.new("RGB", layer.size, "white")
    page.paste(colours, mask=layer.getchannel("A"))
    return page


def _set_transparent_colour(image: Image.Image) -> None:
    """Bring a PNG's transparent colour to eight bits, as Pillow brings the picture: it gives the number of the file."""
    colour = image.info.get("transparency")
    samples = image.tile[0].args if image.format == "PNG" and image.tile else None
    if colour is None or not isinstance(samples, str):
        return
    if samples in ("L;2", "L;4"):
        image.info["transparency"] = colour * 255 // (2 ** int(samples[2:]) - 1)
    elif samples == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in colour)


def _in_eight_bits(image: Image.Image) -> Image.Image:
    """Grey values of more bits in mode L, or LA where a value means transparent."""
    values = np.asarray(image).astype(np.float64)
    white = 65535 if image.mode.startswith("I;16") else WHITE_OF_FORMAT.get(image.format or "")
    if image.mode == "F":
        values = np.nan_to_num(values, nan=0.0, posinf=np.finfo(np.float32).max, neginf=np.finfo(np.float32).min)
        white = 1 if values.size and values.min() >= 0 and values.max() <= 1 else None
    if white is None and values.size:
        values = values - values.min()
        white = values.max()
    shares = np.clip(values / (white or 1), 0, 1)
    if getattr(image, "tag_v2", {}).get(262) == 0:
        # TIFF's WhiteIsZero, which Pillow follows for eight bits alone.
        shares = 1 - shares
    grey = Image.fromarray(np.rint(255 * shares).astype(np.uint8))
    transparent = image.info.get("transparency")
    if transparent is not None:
        grey.putalpha(Image.fromarray(np.where(np.asarray(image) == transparent, 0, 255).astype(np.uint8)))
    grey.info["icc_profile"] = image.info.get("icc_profile")
    return grey


def _in_srgb(image: Image.Image) -> Image.Image:
    """An opaque picture in RGB, by its profile where that is of use."""
    encoded = image.info.get("icc_profile")
    # A palette and what else has no profile of its own are described by one of RGB.
    colours = image if image.mode in PROFILED else image.convert("RGB")
    if encoded:
        try:
            profile = ImageCms.ImageCmsProfile(BytesIO(encoded))
            described = profile.profile.profile_description or ""
            if profile.profile.xcolor_space == PROFILED[colours.mode] and "sRGB" not in described:
                return ImageCms.profileToProfile(colours, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (OSError, ImageCms.PyCMSError):
            # The profile is damaged, not the picture.
            return colours.convert("RGB")
    return colours.convert("RGB")
