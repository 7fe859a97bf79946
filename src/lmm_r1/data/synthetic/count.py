"""Counting coloured shapes on a board."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from PIL import Image, ImageDraw

from lmm_r1.data.synthetic import canvas

COLUMNS = 3
SHAPES = ("circle", "square", "triangle")
COLOURS = ("red", "green", "blue", "yellow")
FIRST_CELL = 2
"""The cells before it show the wanted kinds in a marked figure."""

Kind = tuple[str, str]
"""Colour and shape; an empty string stands for any."""


@dataclass(frozen=True)
class CountLatent:
    things: tuple[tuple[int, str, str], ...]
    """Cell, colour and shape, by ascending cell."""
    wanted: tuple[Kind, ...]
    """One kind, or two that no thing can both be, sorted."""


class Count:
    """Difficulty 2 asks for a colour or a shape, 3 for a colour and shape, 4 for two kinds together."""

    name = "count"
    levels = (2, 4)
    answer_type = "number"

    def sample(self, random: Random, level: int) -> CountLatent:
        cells = sorted(random.sample(range(FIRST_CELL, COLUMNS**2), random.randint(3, 6)))
        colours = random.sample(COLOURS, random.randint(2, 3))
        things = tuple((cell, random.choice(colours), random.choice(SHAPES)) for cell in cells)
        kinds = {2: _single_kinds, 3: _full_kinds, 4: random.choice((_colours, _shapes, _full_kinds))}[level]
        wanted = [random.choice(kinds([thing[1:] for thing in things]))]
        if level == 4:
            others = kinds([(colour, shape) for colour in colours for shape in SHAPES])
            wanted.append(random.choice([kind for kind in others if kind != wanted[0]]))
        return CountLatent(things, tuple(sorted(wanted)))

    def answer(self, latent: CountLatent) -> str:
        return str(sum(_counts(latent)))

    def statement(self, latent: CountLatent) -> str:
        things = ", ".join(f"{colour} {shape}" for _, colour, shape in latent.things)
        return f"{things}. {self.bare_question(latent)}"

    def bare_question(self, latent: CountLatent) -> str:
        return f"How many are {' or '.join(_name(kind) for kind in latent.wanted)}?"

    def instruction(self, latent: CountLatent) -> str:
        return "Count what the framed cells show."

    def draw(self, latent: CountLatent, marked: bool, size: int, random: Random) -> Image.Image:
        image = canvas.sheet(size, random)
        pen = ImageDraw.Draw(image)
        side = size / COLUMNS
        for cell, colour, shape in latent.things:
            across, down = (random.uniform(-0.06, 0.06) * side for _ in range(2))
            left, top, right, bottom = canvas.cell_box(cell, COLUMNS, size)
            radius = side * random.uniform(0.3, 0.38)
            centre = ((left + right) / 2 + across, (top + bottom) / 2 + down)
            _draw_shape(pen, centre, radius, canvas.COLOURS[colour], shape)
        if marked:
            for cell, kind in enumerate(latent.wanted):
                _draw_wanted(pen, canvas.cell_box(cell, COLUMNS, size), side, kind)
        return image

    def reading(self, latent: CountLatent) -> str:
        return f"I see {', '.join(f'{colour} {shape}' for _, colour, shape in latent.things)}."

    def work(self, latent: CountLatent) -> str:
        counts = _counts(latent)
        found = ", ".join(f"{number} {_name(kind)}" for number, kind in zip(counts, latent.wanted, strict=True))
        if len(counts) == 1:
            return f"{found}."
        return f"{found}. {counts[0]} + {counts[1]} = {sum(counts)}."


def _colours(things: list[Kind]) -> list[Kind]:
    return [(colour, "") for colour, _ in things]


def _shapes(things: list[Kind]) -> list[Kind]:
    return [("", shape) for _, shape in things]


def _single_kinds(things: list[Kind]) -> list[Kind]:
    return _colours(things) + _shapes(things)


def _full_kinds(things: list[Kind]) -> list[Kind]:
    return things


def _counts(latent: CountLatent) -> list[int]:
    def matches(colour: str, shape: str, kind: Kind) -> bool:
        return kind[0] in ("", colour) and kind[1] in ("", shape)

    return [sum(matches(colour, shape, kind) for _, colour, shape in latent.things) for kind in latent.wanted]


def _name(kind: Kind) -> str:
    colour, shape = kind
    return " ".join(word for word in (colour, f"{shape}s" if shape else "") if word)


def _draw_shape(
    pen: ImageDraw.ImageDraw,
    centre: tuple[float, float],
    radius: float,
    colour: tuple[int, int, int],
    shape: str,
) -> None:
    across, down = centre
    if shape == "circle":
        pen.ellipse((across - radius, down - radius, across + radius, down + radius), fill=colour)
    elif shape == "square":
        half = radius * 0.88
        pen.rectangle((across - half, down - half, across + half, down + half), fill=colour)
    else:
        pen.regular_polygon((across, down + radius * 0.2, radius * 1.2), 3, fill=colour)


def _draw_wanted(pen: ImageDraw.ImageDraw, box: canvas.Box, side: float, kind: Kind) -> None:
    """A framed cell: a colour alone fills it, a shape alone is black, both together look as on the board."""
    left, top, right, bottom = (
        edge + inset * side for edge, inset in zip(box, (0.05, 0.05, -0.05, -0.05), strict=True)
    )
    colour, shape = kind
    fill = (255, 255, 255) if shape else canvas.COLOURS[colour]
    pen.rectangle((left, top, right, bottom), fill=fill, outline=(0, 0, 0), width=max(1, round(side * 0.07)))
    if shape:
        ink = canvas.COLOURS[colour] if colour else (0, 0, 0)
        _draw_shape(pen, ((left + right) / 2, (top + bottom) / 2), side * 0.26, ink, shape)
