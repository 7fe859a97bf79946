"""Chains of additions and subtractions of one-digit numbers, such as 3 + 4 - 2 + 6."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from PIL import Image, ImageDraw

from lmm_r1.data.synthetic import canvas
from lmm_r1.data.synthetic.reduction import reduction

GREATEST = 20
"""Of a running value: a small model has to learn each sum by heart, and what is to be taught is the chain."""


@dataclass(frozen=True)
class ChainLatent:
    numbers: tuple[int, ...]
    operators: tuple[str, ...]
    """One `"+"` or `"-"` between each two numbers."""


class Chain:
    """Every running value lies from 0 to `GREATEST`. The difficulty is the number of terms.

    The figure is a strip of nine cells with a symbol each: three times as wide as a square one and a third as high.
    Reading on is then a step to the right, always the same one.
    """

    name = "chain"
    levels = (2, 5)
    answer_type = "number"

    def sample(self, random: Random, level: int) -> ChainLatent:
        numbers, operators = [random.randint(1, 9)], []
        value = numbers[0]
        for _ in range(level - 1):
            operator = "+" if value == 0 else "-" if value == GREATEST else random.choice("+-")
            number = random.randint(1, min(9, GREATEST - value if operator == "+" else value))
            value += number if operator == "+" else -number
            numbers.append(number)
            operators.append(operator)
        return ChainLatent(tuple(numbers), tuple(operators))

    def answer(self, latent: ChainLatent) -> str:
        return str(_values(latent)[-1])

    def statement(self, latent: ChainLatent) -> str:
        return f"{' '.join(_symbols(latent))} = ?"

    def bare_question(self, latent: ChainLatent) -> str:
        return f"_ {' '.join(f'{operator} _' for operator in latent.operators)} = ?"

    def instruction(self, latent: ChainLatent) -> str:
        return "Work out the chain."

    def draw(self, latent: ChainLatent, marked: bool, size: int, random: Random) -> Image.Image:
        side = size / 3
        image = canvas.sheet_of((3 * size, size // 3), random)
        pen = ImageDraw.Draw(image)
        height = side * random.uniform(0.72, 0.88)
        ink = (random.randint(0, 70),) * 3
        for index, symbol in enumerate(_symbols(latent)):
            if index % 2 and not marked:
                continue
            across, down = (random.uniform(-0.06, 0.06) * side for _ in range(2))
            box = (index * side + across, down, (index + 1) * side + across, side + down)
            canvas.glyph(pen, box, symbol, height, ink)
        return image

    def reading(self, latent: ChainLatent) -> str:
        return "I see"

    def work(self, latent: ChainLatent) -> str:
        return f"{reduction(latent.numbers, latent.operators)}."


def _symbols(latent: ChainLatent) -> list[str]:
    rest = zip(latent.operators, latent.numbers[1:], strict=True)
    return [str(latent.numbers[0]), *(symbol for pair in rest for symbol in (pair[0], str(pair[1])))]


def _values(latent: ChainLatent) -> list[int]:
    """The running value after each number."""
    values = [latent.numbers[0]]
    for operator, number in zip(latent.operators, latent.numbers[1:], strict=True):
        values.append(values[-1] + number if operator == "+" else values[-1] - number)
    return values
