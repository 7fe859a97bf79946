"""Questions of one to three steps about bar and line charts."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from PIL import Image

from lmm_r1.data.synthetic.chart_figure import DAYS, GREATEST, STEP, draw_chart

KINDS = {2: ("difference", "sum"), 3: ("range", "net"), 4: ("mean", "takings")}


@dataclass(frozen=True)
class ChartLatent:
    kind: str
    style: str
    """`"bars"` or `"line"`."""
    values: tuple[int, ...]
    """Tickets sold on each of `DAYS`."""
    days: tuple[int, ...]
    """The days of the question in its order; empty where it is about all of them."""
    price: int
    """Of a ticket; 0 where the question does not need it."""


class Chart:
    """Difficulty 2: two days compared or added. 3: extremes, or three days. 4: a mean, or a sum times a price."""

    name = "chart"
    levels = (2, 4)
    answer_type = "number"

    def sample(self, random: Random, level: int) -> ChartLatent:
        kind, style = random.choice(KINDS[level]), random.choice(("bars", "line"))
        values = [random.randrange(STEP, GREATEST + 1, STEP) for _ in DAYS]
        days = random.sample(range(len(DAYS)), {"range": 0, "mean": 0, "net": 3}.get(kind, 2))
        if kind in ("difference", "net"):
            days.sort(key=lambda day: -values[day])
        if kind == "mean":
            rest = sum(values[:-1])
            whole = [h for h in range(STEP, GREATEST + 1, STEP) if (rest + h) % len(DAYS) == 0]
            values[-1] = random.choice(whole)
        price = random.randint(2, 9) if kind == "takings" else 0
        return ChartLatent(kind, style, tuple(values), tuple(days), price)

    def answer(self, latent: ChartLatent) -> str:
        asked = [latent.values[day] for day in latent.days]
        if latent.kind == "range":
            return str(max(latent.values) - min(latent.values))
        if latent.kind == "mean":
            return str(sum(latent.values) // len(latent.values))
        if latent.kind == "takings":
            return str(latent.price * sum(asked))
        return str(sum(asked[:-1]) + (asked[-1] if latent.kind == "sum" else -asked[-1]))

    def statement(self, latent: ChartLatent) -> str:
        values = ", ".join(f"{day} {value}" for day, value in zip(DAYS, latent.values, strict=True))
        return f"Tickets sold: {values}. {self.bare_question(latent)}"

    def bare_question(self, latent: ChartLatent) -> str:
        days = [DAYS[day] for day in latent.days]
        if latent.kind == "range":
            return "How many more tickets were sold on the best day than on the worst?"
        if latent.kind == "mean":
            return "What is the mean number of tickets sold a day?"
        if latent.kind == "difference":
            return f"How many more tickets were sold on {days[0]} than on {days[1]}?"
        if latent.kind == "sum":
            return f"How many tickets were sold on {days[0]} and {days[1]} together?"
        if latent.kind == "net":
            return f"How many more tickets were sold on {days[0]} and {days[1]} together than on {days[2]}?"
        return f"A ticket costs {latent.price}. What did {days[0]} and {days[1]} bring in together?"

    def instruction(self, latent: ChartLatent) -> str:
        return "Answer the question in the figure."

    def draw(self, latent: ChartLatent, marked: bool, size: int, random: Random) -> Image.Image:
        days = [DAYS[day] for day in latent.days]
        question = {
            "range": "best day - worst day = ?",
            "mean": "mean of the five days = ?",
            "difference": " - ".join(days),
            "sum": " + ".join(days),
            "net": " + ".join(days[:2]) + f" - {days[-1]}" if days else "",
            "takings": f"{latent.price} a ticket: takings of {' + '.join(days)}",
        }[latent.kind]
        if latent.days:
            question += " = ?"
        return draw_chart(latent.values, latent.style, question if marked else "", size, random)

    def reading(self, latent: ChartLatent) -> str:
        days = latent.days or range(len(DAYS))
        return f"I see {', '.join(f'{DAYS[day]} {latent.values[day]}' for day in days)}."

    def work(self, latent: ChartLatent) -> str:
        answer, total = self.answer(latent), sum(latent.values)
        if latent.kind == "range":
            return f"{max(latent.values)} - {min(latent.values)} = {answer}."
        if latent.kind == "mean":
            return f"{' + '.join(map(str, latent.values))} = {total}. {total} / {len(DAYS)} = {answer}."
        one, other, *rest = (latent.values[day] for day in latent.days)
        if latent.kind == "difference":
            return f"{one} - {other} = {answer}."
        addition = f"{one} + {other} = {one + other}."
        if latent.kind == "sum":
            return addition
        if latent.kind == "net":
            return f"{addition} {one + other} - {rest[0]} = {answer}."
        return f"{addition} {latent.price} * {one + other} = {answer}."
