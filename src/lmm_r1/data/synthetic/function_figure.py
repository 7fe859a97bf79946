"""Plots of polynomials on a square grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from PIL import Image, ImageDraw

from lmm_r1.data.synthetic import canvas

REACH = 7
"""The axes run from `-REACH` to `REACH`."""

Place = Callable[[float, float], tuple[float, float]]
"""From coordinates to pixels."""

CURVE_COLOURS = (canvas.COLOURS["blue"], canvas.COLOURS["red"])
SAMPLES = 400


def value(curve: Sequence[int], x: float) -> float:
    """Of the polynomial with these coefficients, the constant first."""
    return sum(coefficient * x**power for power, coefficient in enumerate(curve))


def draw_plot(
    curves: Sequence[tuple[int, ...]],
    points: Sequence[tuple[int, int]],
    question: str,
    size: int,
    random: Random,
) -> Image.Image:
    """The curves `f` and `g` over a unit grid, with dots on the points and the question below."""
    image = canvas.sheet(size, random)
    pen = ImageDraw.Draw(image)
    side = round(0.88 * size)
    plot = Image.new("RGB", (side, side), image.getpixel((0, 0)))
    _draw_plot(ImageDraw.Draw(plot), curves, points, side)
    image.paste(plot, ((size - side) // 2, round(0.01 * size)))
    if question:
        canvas.line_of_text(pen, (0, 0.9 * size, size, 0.98 * size), question, size * 0.055)
    return image


def _draw_plot(
    pen: ImageDraw.ImageDraw, curves: Sequence[tuple[int, ...]], points: Sequence[tuple[int, int]], size: int
) -> None:
    def place(x: float, y: float) -> tuple[float, float]:
        return (x + REACH) / (2 * REACH) * size, (REACH - y) / (2 * REACH) * size

    _draw_axes(pen, place, size)
    for name, colour, curve in zip("fg", CURVE_COLOURS, curves, strict=False):
        _draw_curve(pen, place, curve, colour, size)
        if not points:
            _name_curve(pen, place, curve, name, colour, size)
    for point in points:
        across, down = place(*point)
        radius = size * 0.016
        pen.ellipse((across - radius, down - radius, across + radius, down + radius), fill=(20, 20, 20))


def _draw_axes(pen: ImageDraw.ImageDraw, place: Place, size: int) -> None:
    for tick in range(1 - REACH, REACH):
        strong = tick == 0
        width = max(1, size // (140 if strong else 340))
        colour = (40, 40, 40) if strong else (208, 208, 208)
        pen.line((place(tick, -REACH), place(tick, REACH)), fill=colour, width=width)
        pen.line((place(-REACH, tick), place(REACH, tick)), fill=colour, width=width)
    for tick in range(1 - REACH, REACH):
        if tick % 2 == 0 and tick:
            _write(pen, place(tick, -0.45), str(tick), size)
            _write(pen, place(-0.5, tick), str(tick), size)
    _write(pen, place(REACH - 0.4, 0.5), "x", size)
    _write(pen, place(0.45, REACH - 0.4), "y", size)


def _write(pen: ImageDraw.ImageDraw, where: tuple[float, float], text: str, size: int) -> None:
    canvas.glyph(pen, (*where, *where), text, size * 0.038, (70, 70, 70), bold=False)


def _draw_curve(
    pen: ImageDraw.ImageDraw, place: Place, curve: tuple[int, ...], colour: tuple[int, int, int], size: int
) -> None:
    path = []
    for sample in range(SAMPLES + 1):
        x = REACH * (2 * sample / SAMPLES - 1)
        path.append(place(x, value(curve, x)))
    pen.line(path, fill=colour, width=max(2, size // 110), joint="curve")


def _name_curve(
    pen: ImageDraw.ImageDraw,
    place: Place,
    curve: tuple[int, ...],
    name: str,
    colour: tuple[int, int, int],
    size: int,
) -> None:
    """Beside the curve, as far right as there is room within the plot and off the axes' numbers."""
    for step in range(4 * REACH - 4):
        x = REACH - 1 - step / 2
        slope = value(curve, x + 0.5) - value(curve, x - 0.5)
        length = (1 + slope**2) ** 0.5
        where = (x + 0.5 * abs(slope) / length, value(curve, x) - 0.5 * (1 if slope > 0 else -1) / length)
        if all(1 < abs(coordinate) < REACH - 0.5 for coordinate in where):
            canvas.glyph(pen, place(*where) * 2, name, size * 0.055, colour)
            return
