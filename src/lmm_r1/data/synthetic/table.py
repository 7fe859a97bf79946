"""Look-up and arithmetic in a price list."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from PIL import Image, ImageDraw

from lmm_r1.data.synthetic import canvas

ITEMS = ("pen", "cup", "book", "lamp", "ball", "bag", "hat", "key")
ROWS = 4


@dataclass(frozen=True)
class TableLatent:
    items: tuple[str, ...]
    prices: tuple[int, ...]
    stock: tuple[int, ...]
    bought: tuple[tuple[int, int], ...]
    """Rows with the number that is bought; 0 stands for all in stock."""


class Table:
    """Difficulty 2: some of one item. 3: some of two items. 4: all of one item and some of another."""

    name = "table"
    levels = (2, 4)
    answer_type = "number"

    def sample(self, random: Random, level: int) -> TableLatent:
        items = tuple(random.sample(ITEMS, ROWS))
        prices = tuple(random.sample(range(2, 16), ROWS))
        stock = tuple(random.randint(3, 12) for _ in items)
        rows = random.sample(range(ROWS), 1 if level == 2 else 2)
        bought = [(row, random.randint(2, 9)) for row in rows]
        if level == 4:
            bought[0] = (rows[0], 0)
        return TableLatent(items, prices, stock, tuple(bought))

    def answer(self, latent: TableLatent) -> str:
        return str(sum(number * price for number, price in _order(latent)))

    def statement(self, latent: TableLatent) -> str:
        rows = zip(latent.items, latent.prices, latent.stock, strict=True)
        listing = "; ".join(f"{item}: price {price}, stock {stock}" for item, price, stock in rows)
        return f"{listing}. {self.bare_question(latent)}"

    def bare_question(self, latent: TableLatent) -> str:
        return f"What do {' and '.join(_purchases(latent))} cost?"

    def instruction(self, latent: TableLatent) -> str:
        return "What does the order in the figure cost?"

    def draw(self, latent: TableLatent, marked: bool, size: int, random: Random) -> Image.Image:
        image = canvas.sheet(size, random)
        pen = ImageDraw.Draw(image)
        left, right, top, height = 0.06 * size, 0.94 * size, 0.06 * size, 0.145 * size
        tint = random.choice(((221, 232, 247), (226, 241, 223), (248, 235, 214)))
        rows = [("item", "price", "stock"), *zip(latent.items, latent.prices, latent.stock, strict=True)]
        width = (right - left) / 3
        for number, row in enumerate(rows):
            for column, entry in enumerate(row):
                across, down = left + column * width, top + number * height
                box = (across, down, across + width, down + height)
                fill = tint if number == 0 else (255, 255, 255)
                pen.rectangle(box, fill=fill, outline=(90, 90, 90), width=max(1, size // 250))
                canvas.glyph(pen, box, str(entry), size * 0.06, bold=False)
        if marked:
            box = (left, top + 5.2 * height, right, top + 6 * height)
            canvas.line_of_text(pen, box, f"Order: {' and '.join(_purchases(latent))}", size * 0.06)
        return image

    def reading(self, latent: TableLatent) -> str:
        lines = [
            f"{latent.items[row]} {latent.prices[row]}" + ("" if number else f", stock {latent.stock[row]}")
            for row, number in latent.bought
        ]
        return f"I see {'; '.join(lines)}."

    def work(self, latent: TableLatent) -> str:
        order = _order(latent)
        costs = [number * price for number, price in order]
        steps = " ".join(f"{number} * {price} = {number * price}." for number, price in order)
        if len(costs) == 1:
            return steps
        return f"{steps} {' + '.join(map(str, costs))} = {sum(costs)}."


def _order(latent: TableLatent) -> list[tuple[int, int]]:
    """Number and price of each purchase."""
    return [(number or latent.stock[row], latent.prices[row]) for row, number in latent.bought]


def _purchases(latent: TableLatent) -> list[str]:
    return [
        f"{number} {latent.items[row]}s" if number else f"all {latent.items[row]}s in stock"
        for row, number in latent.bought
    ]
