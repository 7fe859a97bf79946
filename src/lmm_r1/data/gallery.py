"""One sheet with a problem of every family in every rendering: `python -m lmm_r1.data.gallery problems.png`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from lmm_r1.data.synthetic import FAMILIES, SyntheticDataset
from lmm_r1.data.synthetic.canvas import font
from lmm_r1.types import IMAGE_MARKER, RENDERINGS, Problem

CELL, GAP, LETTERS = 252, 14, 14
CAPTION = 4 * (LETTERS + 4)
"""Height of the text below a figure, in pixels."""

COLOURS = 255
"""Of the sheet's palette: keeps the file small."""


def draw_gallery(families: Sequence[str], image_size: int, difficulty: tuple[int, int], seed: int) -> Image.Image:
    """A row for each family, a column for each rendering, the question below its figure."""
    rows, columns = len(families), len(RENDERINGS)
    height = CELL + CAPTION + GAP
    sheet = Image.new("RGB", (columns * (CELL + GAP) + GAP, rows * height + 3 * GAP), (255, 255, 255))
    pen = ImageDraw.Draw(sheet)
    for column, rendering in enumerate(RENDERINGS):
        pen.text((GAP + column * (CELL + GAP), GAP), rendering, fill=(0, 0, 0), font=font(LETTERS + 4))
    problems = SyntheticDataset("test", rows, families, RENDERINGS, difficulty, image_size, seed)
    for index in range(len(problems)):
        row, column = divmod(index, columns)
        _paste(sheet, problems[index], (GAP + column * (CELL + GAP), 3 * GAP + row * height))
    return sheet


def _paste(sheet: Image.Image, problem: Problem, corner: tuple[int, int]) -> None:
    left, top = corner
    pen = ImageDraw.Draw(sheet)
    for image in problem.images:
        scale = CELL / max(image.size)
        shown = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.NEAREST)
        sheet.paste(shown, corner)
        pen.rectangle((left, top, left + shown.width - 1, top + shown.height - 1), outline=(170, 170, 170))
    text_top = top + CELL + 4 if problem.images else top
    words = problem.question.replace(IMAGE_MARKER, f"{IMAGE_MARKER} ")
    if not problem.images:
        words += f" Answer: {problem.answer}"
    for number, line in enumerate(_wrapped(words)):
        pen.text((left, text_top + number * (LETTERS + 4)), line, fill=(60, 60, 60), font=font(LETTERS))


def _wrapped(text: str) -> list[str]:
    """Lines that fit the width of a cell."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font(LETTERS).getlength(longer) <= CELL:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), choices=list(FAMILIES))
    parser.add_argument("--image-size", type=int, default=CELL)
    parser.add_argument("--difficulty", type=int, nargs=2, default=(3, 4))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    sheet = draw_gallery(arguments.families, arguments.image_size, arguments.difficulty, arguments.seed)
    arguments.file.parent.mkdir(parents=True, exist_ok=True)
    sheet.quantize(COLOURS).save(arguments.file, optimize=True)


if __name__ == "__main__":
    main()
