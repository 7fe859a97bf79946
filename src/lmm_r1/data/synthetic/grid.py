"""Sums over a row, a column or shaded cells of a 3 × 3 grid of one-digit numbers."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from PIL import Image, ImageDraw

from lmm_r1.data.synthetic import canvas
from lmm_r1.data.synthetic.reduction import reduction

COLUMNS = 3
SHADES = ((255, 214, 120), (170, 215, 255), (180, 230, 170))


@dataclass(frozen=True)
class GridLatent:
    numbers: tuple[int, ...]
    """Nine numbers in reading order."""
    asked: str
    """`"row 1"` to `"row 3"`, `"column 1"` to `"column 3"`, or `"cells"`."""
    cells: tuple[int, ...]
    """The indices of the numbers to add, ascending."""


class Grid:
    """The difficulty is the number of cells to add; rows and columns have three."""

    name = "grid"
    levels = (2, 5)
    answer_type = "number"

    def sample(self, random: Random, level: int) -> GridLatent:
        numbers = tuple(random.randint(1, 9) for _ in range(9))
        asked = random.choice(("row", "column", "cells")) if level == 3 else "cells"
        line = random.randrange(3)
        if asked == "row":
            return GridLatent(numbers, f"row {line + 1}", tuple(range(3 * line, 3 * line + 3)))
        if asked == "column":
            return GridLatent(numbers, f"column {line + 1}", (line, line + 3, line + 6))
        return GridLatent(numbers, "cells", tuple(sorted(random.sample(range(9), level))))

    def answer(self, latent: GridLatent) -> str:
        return str(sum(_asked_numbers(latent)))

    def statement(self, latent: GridLatent) -> str:
        by_cells = latent.asked == "cells"
        words = [
            f"({number})" if by_cells and index in latent.cells else str(number)
            for index, number in enumerate(latent.numbers)
        ]
        rows = " / ".join(" ".join(words[start : start + 3]) for start in (0, 3, 6))
        return f"{rows}. " + ("Add the ( ) cells." if by_cells else f"Add {latent.asked}.")

    def bare_question(self, latent: GridLatent) -> str:
        return "Add the shaded cells." if latent.asked == "cells" else f"Add {latent.asked}."

    def instruction(self, latent: GridLatent) -> str:
        return "Add the shaded cells."

    def draw(self, latent: GridLatent, marked: bool, size: int, random: Random) -> Image.Image:
        image = canvas.sheet(size, random)
        pen = ImageDraw.Draw(image)
        side = size / COLUMNS
        height = side * random.uniform(0.66, 0.8)
        ink = (random.randint(0, 70),) * 3
        shade = random.choice(SHADES)
        for index, number in enumerate(latent.numbers):
            box = canvas.cell_box(index, COLUMNS, size)
            shaded = index in latent.cells and (marked or latent.asked == "cells")
            pen.rectangle(box, fill=shade if shaded else None, outline=(120, 120, 120), width=max(1, size // 120))
            canvas.glyph(pen, box, str(number), height, ink)
        return image

    def reading(self, latent: GridLatent) -> str:
        return "I see"

    def work(self, latent: GridLatent) -> str:
        numbers = _asked_numbers(latent)
        return f"{reduction(numbers, '+' * (len(numbers) - 1))}."


def _asked_numbers(latent: GridLatent) -> list[int]:
    return [latent.numbers[index] for index in latent.cells]
