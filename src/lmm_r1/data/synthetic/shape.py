"""One coloured shape and a question about it, answered in a word."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from PIL import Image, ImageDraw

from lmm_r1.data.synthetic import canvas

SHAPES = ("circle", "rectangle", "triangle")
COLOURS = {
    "red": (214, 39, 40),
    "green": (44, 140, 50),
    "blue": (31, 80, 200),
    "yellow": (240, 205, 30),
    "black": (20, 20, 20),
    "gray": (128, 128, 128),
    "brown": (120, 70, 30),
    "teal": (0, 128, 128),
}
COLUMNS = 3


@dataclass(frozen=True)
class ShapeLatent:
    colour: str
    shape: str
    asked: str
    """`"color"`, `"shape"`, `"is"` or `"is not"`."""
    colour_asked: str
    """Of an `"is"` or `"is not"` question; empty where it asks for any colour."""
    shape_asked: str
    """Likewise."""


class Shape:
    """Difficulty 2 asks for the colour or the shape, 3 whether one of them is there or not, 4 both together."""

    name = "shape"
    levels = (2, 4)
    answer_type = "text"

    def sample(self, random: Random, level: int) -> ShapeLatent:
        colour, shape = random.choice(tuple(COLOURS)), random.choice(SHAPES)
        if level == 2:
            return ShapeLatent(colour, shape, random.choice(("color", "shape")), "", "")
        # Every other question is about what is there: a guess is right half of the time, and no more.
        fits = random.random() < 0.5
        colours = [colour] if fits else list(COLOURS)
        shapes = [shape] if fits else list(SHAPES)
        kind = [random.choice(colours), random.choice(shapes)]
        if level == 3:
            kind[random.randrange(2)] = ""
        return ShapeLatent(colour, shape, random.choice(("is", "is not")), *kind)

    def answer(self, latent: ShapeLatent) -> str:
        if latent.asked in ("color", "shape"):
            return latent.colour if latent.asked == "color" else latent.shape
        return "yes" if _fits(latent) == (latent.asked == "is") else "no"

    def statement(self, latent: ShapeLatent) -> str:
        return f"a {latent.colour} {latent.shape}. {self.bare_question(latent)}"

    def bare_question(self, latent: ShapeLatent) -> str:
        if latent.asked in ("color", "shape"):
            return f"what {latent.asked} is it?"
        kind = f"{latent.colour_asked} {latent.shape_asked or 'shape'}".strip()
        return f"is there {'not ' if latent.asked == 'is not' else ''}a {kind}?"

    def instruction(self, latent: ShapeLatent) -> str:
        return "Answer the frame."

    def draw(self, latent: ShapeLatent, marked: bool, size: int, random: Random) -> Image.Image:
        image = canvas.sheet(size, random)
        pen = ImageDraw.Draw(image)
        top = size / COLUMNS if marked else 0
        room = size - top
        width, height = (room * random.uniform(0.45, 0.7) for _ in range(2))
        if latent.shape != "rectangle":
            height = width
        left, upper = random.uniform(0, size - width), random.uniform(top, size - height)
        _draw_shape(pen, (left, upper, left + width, upper + height), COLOURS[latent.colour], latent.shape)
        if marked:
            _draw_frame(pen, latent, size)
        return image

    def reading(self, latent: ShapeLatent) -> str:
        return f"I see a {latent.colour} {latent.shape}."

    def work(self, latent: ShapeLatent) -> str:
        if latent.asked == "color":
            return f"It is {latent.colour}."
        if latent.asked == "shape":
            return f"It is a {latent.shape}."
        parts = [(latent.colour, latent.colour_asked), (latent.shape, latent.shape_asked)]
        return " ".join(f"{seen} {'is' if seen == asked else 'is not'} {asked}." for seen, asked in parts if asked)


def _fits(latent: ShapeLatent) -> bool:
    return latent.colour_asked in ("", latent.colour) and latent.shape_asked in ("", latent.shape)


def _draw_shape(pen: ImageDraw.ImageDraw, box: canvas.Box, colour: tuple[int, int, int], shape: str) -> None:
    left, top, right, bottom = box
    if shape == "circle":
        pen.ellipse(box, fill=colour)
    elif shape == "rectangle":
        pen.rectangle(box, fill=colour)
    else:
        pen.polygon([(left, bottom), (right, bottom), ((left + right) / 2, top)], fill=colour)


def _draw_frame(pen: ImageDraw.ImageDraw, latent: ShapeLatent, size: int) -> None:
    """What is asked, in the two upper cells: a letter for "which color" or "which shape"; else the kind that is or,
    crossed out, is not to be there."""
    side = size / COLUMNS
    box = tuple(edge + inset * side for edge, inset in zip((0, 0, side, side), (0.06, 0.06, -0.06, -0.06), strict=True))
    pen.rectangle(box, fill=(255, 255, 255), outline=(0, 0, 0), width=max(1, round(side * 0.07)))
    if latent.asked in ("color", "shape"):
        canvas.glyph(pen, box, latent.asked[0].upper(), side * 0.6, (0, 0, 0))
        return
    left, top, right, bottom = box
    inner = (left + 0.18 * side, top + 0.18 * side, right - 0.18 * side, bottom - 0.18 * side)
    colour = COLOURS[latent.colour_asked] if latent.colour_asked else (255, 255, 255)
    if latent.shape_asked:
        _draw_shape(pen, inner, colour, latent.shape_asked)
        if not latent.colour_asked:
            _outline(pen, inner, latent.shape_asked, max(1, round(side * 0.06)))
    else:
        pen.rectangle(box, fill=colour, outline=(0, 0, 0), width=max(1, round(side * 0.07)))
    if latent.asked == "is not":
        pen.line((side + 2, side * 0.2, side * 1.6, side * 0.8), fill=(200, 0, 0), width=max(2, round(side * 0.14)))


def _outline(pen: ImageDraw.ImageDraw, box: canvas.Box, shape: str, width: int) -> None:
    left, top, right, bottom = box
    if shape == "circle":
        pen.ellipse(box, outline=(0, 0, 0), width=width)
    elif shape == "rectangle":
        pen.rectangle(box, outline=(0, 0, 0), width=width)
    else:
        pen.polygon([(left, bottom), (right, bottom), ((left + right) / 2, top)], outline=(0, 0, 0), width=width)
