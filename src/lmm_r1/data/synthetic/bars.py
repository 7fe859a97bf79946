"""Sums and differences of the heights of three bars."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from PIL import Image, ImageDraw

from lmm_r1.data.synthetic import canvas
from lmm_r1.data.synthetic.reduction import reduction

NAMES = "ABC"
TALLEST = 9
PLAIN, ADDED, SUBTRACTED = canvas.COLOURS["grey"], canvas.COLOURS["orange"], canvas.COLOURS["purple"]


@dataclass(frozen=True)
class BarsLatent:
    heights: tuple[int, int, int]
    asked: tuple[int, ...]
    """The bars of the question in its order; the first is always added."""
    signs: tuple[str, ...]
    """`"+"` or `"-"` before each asked bar."""


class Bars:
    """The bars are stacks of unit blocks; nine units fill the height, so that a third of the figure is three.

    The difficulty is the number of bars asked for. In a marked figure the asked bars are orange with a plus
    or purple with a minus.
    """

    name = "bars"
    levels = (2, 3)
    answer_type = "number"

    def sample(self, random: Random, level: int) -> BarsLatent:
        heights = tuple(random.randint(1, TALLEST) for _ in NAMES)
        asked = tuple(sorted(random.sample(range(3), level)))
        subtracted = random.choice((None, *asked))
        if subtracted is not None and 2 * heights[subtracted] <= sum(heights[bar] for bar in asked):
            asked = (*(bar for bar in asked if bar != subtracted), subtracted)
            return BarsLatent(heights, asked, ("+",) * (level - 1) + ("-",))
        return BarsLatent(heights, asked, ("+",) * level)

    def answer(self, latent: BarsLatent) -> str:
        signs = zip(latent.signs, latent.asked, strict=True)
        return str(sum(latent.heights[bar] * (1 if sign == "+" else -1) for sign, bar in signs))

    def statement(self, latent: BarsLatent) -> str:
        values = ", ".join(f"{name} = {height}" for name, height in zip(NAMES, latent.heights, strict=True))
        return f"{values}. {self.bare_question(latent)}"

    def bare_question(self, latent: BarsLatent) -> str:
        return f"{_chain([NAMES[bar] for bar in latent.asked], latent.signs)} = ?"

    def instruction(self, latent: BarsLatent) -> str:
        return "Work out the marked bars."

    def draw(self, latent: BarsLatent, marked: bool, size: int, random: Random) -> Image.Image:
        image = canvas.sheet(size, random)
        pen = ImageDraw.Draw(image)
        side, unit = size / 3, size / TALLEST
        signs = dict(zip(latent.asked, latent.signs, strict=True)) if marked else {}
        inset = side * random.uniform(0.12, 0.2)
        plain = canvas.COLOURS["blue"] if not marked else PLAIN
        for bar, height in enumerate(latent.heights):
            colour = {"+": ADDED, "-": SUBTRACTED}.get(signs.get(bar, ""), plain)
            left, right = bar * side + inset, (bar + 1) * side - inset
            for block in range(height):
                top = size - (block + 1) * unit
                pen.rectangle((left, top + unit * 0.14, right, top + unit), fill=colour)
            label = signs.get(bar, "") if marked else NAMES[bar]
            canvas.glyph(pen, (left, size - unit * 0.9, right, size), label, unit * 0.85, (255, 255, 255))
        return image

    def reading(self, latent: BarsLatent) -> str:
        return "I see"

    def work(self, latent: BarsLatent) -> str:
        return f"{reduction([latent.heights[bar] for bar in latent.asked], latent.signs[1:])}."


def _chain(words: list[str], signs: tuple[str, ...]) -> str:
    rest = zip(signs[1:], words[1:], strict=True)
    return " ".join([words[0], *(f"{sign} {word}" for sign, word in rest)])
