"""Drawing of a labelled geometric figure."""

from __future__ import annotations

from cmath import phase, rect
from collections.abc import Mapping
from dataclasses import dataclass
from math import degrees, pi, radians, sin
from random import Random

from PIL import Image, ImageDraw

from lmm_r1.data.synthetic import canvas

INK, ANGLE_INK, ASKED_INK = (25, 25, 25), canvas.COLOURS["blue"], canvas.COLOURS["red"]


@dataclass(frozen=True)
class Scene:
    """Points of the complex plane, what joins them, and what is written where."""

    points: Mapping[str, complex]
    segments: tuple[str, ...]
    """Each the names of its two ends."""
    angles: Mapping[str, str]
    """Labels of angles; an angle is named by three points, the corner in the middle."""
    sides: Mapping[str, str]
    """Labels of segments."""
    asked: str
    """An angle or a segment that a marked figure labels with a question mark, or a word to write inside."""
    right_angle: str = ""


def draw_scene(scene: Scene, marked: bool, size: int, random: Random) -> Image.Image:
    """The scene, turned and mirrored at random, on a sheet of `size` × `size` pixels."""
    image = canvas.sheet(size, random)
    pen = ImageDraw.Draw(image)
    points = _placed(scene.points, size, random)
    for start, end in scene.segments:
        ends = [(points[name].real, points[name].imag) for name in (start, end)]
        pen.line(ends, fill=INK, width=max(2, size // 110))
    if scene.right_angle:
        _draw_square(pen, points, scene.right_angle, size)
    for angle, label in scene.angles.items():
        _draw_angle(pen, points, angle, label, size, ANGLE_INK)
    for side, label in scene.sides.items():
        _write_beside(pen, points, side, label, size, INK)
    if marked and scene.asked in ("area", "perimeter"):
        _write(pen, _centre(points), f"{scene.asked} = ?", size * 0.045, ASKED_INK)
    elif marked and len(scene.asked) == 3:
        _draw_angle(pen, points, scene.asked, "?", size, ASKED_INK)
    elif marked:
        _write_beside(pen, points, scene.asked, "?", size, ASKED_INK)
    for name, point in points.items():
        joined = [points[segment.replace(name, "")] for segment in scene.segments if name in segment]
        inwards = sum((other - point) / abs(other - point) for other in joined)
        _write(pen, point - 0.05 * size * inwards / abs(inwards), name, size * 0.055, INK)
    return image


def _placed(points: Mapping[str, complex], size: int, random: Random) -> dict[str, complex]:
    """The points in pixels, turned, perhaps mirrored, and filling the sheet up to a margin for labels."""
    turn = rect(1, radians(random.uniform(-25, 25)))
    mirrored = random.random() < 0.5
    turned = {name: (point.conjugate() if mirrored else point) * turn for name, point in points.items()}
    low = complex(min(p.real for p in turned.values()), min(p.imag for p in turned.values()))
    high = complex(max(p.real for p in turned.values()), max(p.imag for p in turned.values()))
    scale = 0.74 * size / max(high.real - low.real, high.imag - low.imag)
    middle = complex(size / 2, size / 2)
    return {name: middle + (point - (low + high) / 2) * scale for name, point in turned.items()}


def _centre(points: Mapping[str, complex]) -> complex:
    """Of the triangle, whatever further points there are."""
    return sum(points[name] for name in "ABC") / 3


def _write(pen: ImageDraw.ImageDraw, where: complex, text: str, height: float, colour: tuple[int, int, int]) -> None:
    canvas.glyph(pen, (where.real, where.imag, where.real, where.imag), text, height, colour)


def _write_beside(
    pen: ImageDraw.ImageDraw,
    points: Mapping[str, complex],
    side: str,
    label: str,
    size: int,
    colour: tuple[int, int, int],
) -> None:
    """Outside the middle of a side."""
    start, end = (points[name] for name in side)
    across = 1j * (end - start) / abs(end - start)
    if abs((start + end) / 2 + across - _centre(points)) < abs((start + end) / 2 - _centre(points)):
        across = -across
    _write(pen, (start + end) / 2 + across * size * 0.055, label, size * 0.055, colour)


def _draw_angle(
    pen: ImageDraw.ImageDraw,
    points: Mapping[str, complex],
    angle: str,
    label: str,
    size: int,
    colour: tuple[int, int, int],
) -> None:
    """An arc between the two arms, its label beyond it on the bisector."""
    start, corner, end = (points[name] for name in angle)
    first = phase(start - corner)
    sweep = (phase(end - corner) - first + pi) % (2 * pi) - pi
    radius = 0.07 * size
    box = (corner.real - radius, corner.imag - radius, corner.real + radius, corner.imag + radius)
    low, high = sorted((degrees(first), degrees(first + sweep)))
    pen.arc(box, low, high, fill=colour, width=max(1, size // 170))
    distance = max(0.115, 0.045 / sin(abs(sweep) / 2)) * size
    _write(pen, corner + rect(distance, first + sweep / 2), label, size * 0.042, colour)


def _draw_square(pen: ImageDraw.ImageDraw, points: Mapping[str, complex], angle: str, size: int) -> None:
    start, corner, end = (points[name] for name in angle)
    one, other = ((arm - corner) / abs(arm - corner) * size * 0.05 for arm in (start, end))
    path = [corner + one, corner + one + other, corner + other]
    pen.line([(point.real, point.imag) for point in path], fill=INK, width=max(1, size // 170))
