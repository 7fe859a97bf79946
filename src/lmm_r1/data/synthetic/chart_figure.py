"""Drawing of bar and line charts."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from PIL import Image, ImageDraw

from lmm_r1.data.synthetic import canvas

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri")
GREATEST, STEP, LABELLED_STEP = 40, 2, 10
"""Values are multiples of `STEP` up to `GREATEST`; each has a faint line, and every tenth unit a number."""


def draw_chart(values: Sequence[int], style: str, question: str, size: int, random: Random) -> Image.Image:
    """A chart with a title, and the question below it."""
    image = canvas.sheet(size, random)
    pen = ImageDraw.Draw(image)
    left, right, top, bottom = 0.11 * size, 0.97 * size, 0.12 * size, 0.8 * size
    canvas.line_of_text(pen, (0, 0, size, top * 0.9), "Tickets sold", size * 0.05)
    _draw_scale(pen, (left, top, right, bottom), size)
    colour = random.choice([canvas.COLOURS[name] for name in ("blue", "green", "orange", "purple")])
    width = (right - left) / len(DAYS)
    tops = []
    for index, (day, value) in enumerate(zip(DAYS, values, strict=True)):
        middle = left + (index + 0.5) * width
        height = bottom - value / GREATEST * (bottom - top)
        tops.append((middle, height))
        if style == "bars":
            pen.rectangle((middle - width * 0.3, height, middle + width * 0.3, bottom), fill=colour)
        canvas.glyph(pen, (middle, bottom, middle, bottom + 0.08 * size), day, size * 0.045, bold=False)
    if style == "line":
        pen.line(tops, fill=colour, width=max(2, size // 110), joint="curve")
        radius = size * 0.014
        for across, down in tops:
            pen.ellipse((across - radius, down - radius, across + radius, down + radius), fill=colour)
    if question:
        canvas.line_of_text(pen, (0, 0.89 * size, size, 0.98 * size), question, size * 0.055)
    return image


def _draw_scale(pen: ImageDraw.ImageDraw, box: canvas.Box, size: int) -> None:
    left, top, right, bottom = box
    for value in range(0, GREATEST + 1, STEP):
        height = bottom - value / GREATEST * (bottom - top)
        labelled = value % LABELLED_STEP == 0
        colour = (120, 120, 120) if labelled else (212, 212, 212)
        pen.line((left, height, right, height), fill=colour, width=max(1, size // 340))
        if labelled:
            canvas.glyph(pen, (0, height, left, height), str(value), size * 0.042, bold=False)
