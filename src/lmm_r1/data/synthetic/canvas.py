"""Drawing that all families share: smooth edges, centred glyphs, captions."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from random import Random

from PIL import Image, ImageDraw, ImageFont

CAPTION_FROM = 224
"""The least picture size in pixels at which a caption is legible."""

OVERSAMPLING = 3

COLOURS = {
    "red": (214, 39, 40),
    "green": (44, 150, 60),
    "blue": (31, 90, 200),
    "yellow": (240, 196, 25),
    "orange": (240, 130, 20),
    "purple": (140, 80, 180),
    "grey": (150, 150, 150),
}

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""


@lru_cache(maxsize=256)
def font(pixels: int) -> ImageFont.FreeTypeFont:
    """Pillow's built-in typeface: the same glyphs on every machine."""
    return ImageFont.load_default(pixels)


def sheet(size: int, random: Random) -> Image.Image:
    """An empty square sheet, nearly white."""
    return sheet_of((size, size), random)


def sheet_of(size: tuple[int, int], random: Random) -> Image.Image:
    """An empty sheet of this width and height, nearly white."""
    shade = random.randint(238, 255)
    return Image.new("RGB", size, (shade, shade, shade))


def cell_box(index: int, columns: int, size: int) -> Box:
    """The cell with this index, in reading order, of a square board."""
    side = size / columns
    row, column = divmod(index, columns)
    return (column * side, row * side, (column + 1) * side, (row + 1) * side)


def glyph(
    draw: ImageDraw.ImageDraw,
    box: Box,
    text: str,
    height: float,
    colour: tuple[int, int, int] = (0, 0, 0),
    bold: bool = True,
) -> None:
    """Write `text` in the middle of `box`, in letters of about `height` pixels."""
    pixels = max(6, round(height))
    if text == "-":
        # The typeface has a hyphen but no minus sign, and a hyphen is too short beside a plus.
        across, down = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        half, thick = height * 0.24, height * 0.06
        draw.rectangle((across - half, down - thick, across + half, down + thick), fill=colour)
        return
    draw.text(
        ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2),
        text,
        fill=colour,
        font=font(pixels),
        anchor="mm",
        stroke_width=round(pixels / 28) if bold else 0,
    )


def line_of_text(
    draw: ImageDraw.ImageDraw, box: Box, text: str, height: float, colour: tuple[int, int, int] = (0, 0, 0)
) -> None:
    """Write a line in the middle of `box`, smaller where it would not fit the width."""
    width = font(max(6, round(height))).getlength(text)
    glyph(draw, box, text, height * min(1, (box[2] - box[0]) * 0.97 / width), colour, bold=False)


def smooth(draw: Callable[[int], Image.Image], size: int, caption: str) -> Image.Image:
    """Draw large and shrink, so that edges are smooth; a caption takes a strip at the top."""
    if not caption:
        return draw(size * OVERSAMPLING).reduce(OVERSAMPLING)
    large = size * OVERSAMPLING
    strip = large // 9
    body = draw(large - strip)
    page = Image.new("RGB", (body.width + strip, body.height + strip), (255, 255, 255))
    page.paste(body, (strip // 2, strip))
    line_of_text(ImageDraw.Draw(page), (0, 0, page.width, strip), caption, strip * 0.5)
    return page.reduce(OVERSAMPLING)
