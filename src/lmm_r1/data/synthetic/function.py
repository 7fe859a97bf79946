"""Values, slopes, roots and crossings of lines and parabolas."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from PIL import Image

from lmm_r1.data.synthetic.function_figure import REACH, draw_plot, value

KINDS = {2: ("value",), 3: ("slope", "crossing"), 4: ("root", "sum")}


@dataclass(frozen=True)
class FunctionLatent:
    kind: str
    curves: tuple[tuple[int, ...], ...]
    """Integer coefficients of each polynomial, the constant first."""
    inputs: tuple[int, ...]
    """Where the curve is evaluated; for a slope, the two points of the line."""


class Function:
    """Difficulty 2: a value of a line. 3: a slope; the crossing of two lines. 4: a root or a sum on a parabola.

    Everything asked for lies on integer points within the plot.
    """

    name = "function"
    levels = (2, 4)
    answer_type = "number"

    def sample(self, random: Random, level: int) -> FunctionLatent:
        kind = random.choice(KINDS[level])
        while True:
            latent = _propose(random, kind)
            if latent is not None:
                return latent

    def answer(self, latent: FunctionLatent) -> str:
        first = latent.curves[0]
        if latent.kind == "slope":
            return str(first[1])
        if latent.kind == "crossing":
            second = latent.curves[1]
            return str((second[0] - first[0]) // (first[1] - second[1]))
        if latent.kind == "root":
            return str(max(x for x in range(-REACH, REACH + 1) if value(first, x) == 0))
        return str(sum(value(first, x) for x in latent.inputs))

    def statement(self, latent: FunctionLatent) -> str:
        first = latent.curves[0]
        if latent.kind == "slope":
            one, other = (f"({x}, {value(first, x)})" for x in latent.inputs)
            given = f"A line goes through {one} and {other}."
        elif latent.kind == "crossing":
            given = f"f(x) = {_formula(first)} and g(x) = {_formula(latent.curves[1])}."
        else:
            given = f"f(x) = {_formula(first)}."
        return f"{given} {self.bare_question(latent)}"

    def bare_question(self, latent: FunctionLatent) -> str:
        if latent.kind == "slope":
            return "What is the slope of the line?"
        if latent.kind == "crossing":
            return "At which x is f(x) = g(x)?"
        if latent.kind == "root":
            return "What is the greater root of f?"
        return f"What is {_asked_values(latent)}?"

    def instruction(self, latent: FunctionLatent) -> str:
        return "Answer the question in the figure."

    def draw(self, latent: FunctionLatent, marked: bool, size: int, random: Random) -> Image.Image:
        question = {
            "slope": "slope = ?",
            "crossing": "f(x) = g(x): x = ?",
            "root": "greater root = ?",
        }.get(latent.kind, f"{_asked_values(latent)} = ?")
        first = latent.curves[0]
        points = [(x, value(first, x)) for x in latent.inputs] if latent.kind == "slope" else []
        return draw_plot(latent.curves, points, question if marked else "", size, random)

    def reading(self, latent: FunctionLatent) -> str:
        first = latent.curves[0]
        if latent.kind == "root":
            return f"The curve is {_formula(first)}."
        if latent.kind == "crossing":
            return f"The lines are {_formula(first)} and {_formula(latent.curves[1])}."
        return f"I see {', '.join(f'({x}, {value(first, x)})' for x in latent.inputs)}."

    def work(self, latent: FunctionLatent) -> str:
        first, answer = latent.curves[0], self.answer(latent)
        if latent.kind == "slope":
            (left, right), (low, high) = latent.inputs, [value(first, x) for x in latent.inputs]
            return f"From x = {left} to {right}, y goes from {low} to {high}. {high - low} / {right - left} = {answer}."
        if latent.kind == "crossing":
            second = latent.curves[1]
            steepness, gap = first[1] - second[1], second[0] - first[0]
            return f"f(x) - g(x) = {_formula((-gap, steepness))} = 0. x = {gap} / {steepness} = {answer}."
        if latent.kind == "root":
            roots = [str(x) for x in range(-REACH, REACH + 1) if value(first, x) == 0]
            return f"f(x) = 0 at {' and '.join(roots)}. The greater one is {answer}."
        values = " ".join(f"f({x}) = {value(first, x)}." for x in latent.inputs)
        if len(latent.inputs) == 1:
            return values
        one, other = (value(first, x) for x in latent.inputs)
        return f"{values} {one} + {other} = {answer}.".replace("+ -", "- ")


def _propose(random: Random, kind: str) -> FunctionLatent | None:
    """A draw, or None where something to be read off lies outside the plot."""
    steepness, height = random.choice((-3, -2, -1, 1, 2, 3)), random.randint(-5, 5)
    line = (height, steepness)
    inputs = tuple(sorted(random.sample(range(1 - REACH, REACH), 2)))
    if kind == "value":
        return FunctionLatent(kind, (line,), inputs[:1]) if _visible(line, inputs[:1]) else None
    if kind == "slope":
        return FunctionLatent(kind, (line,), inputs) if _visible(line, inputs) else None
    if kind == "crossing":
        meet, other = inputs[0], random.choice((-2, -1, 1, 2))
        second = (value(line, meet) - other * meet, other)
        fits = other != steepness and _visible(line, (meet,)) and abs(second[0]) < REACH
        return FunctionLatent(kind, (line, second), ()) if fits else None
    sign = random.choice((-1, 1))
    if kind == "root":
        low, high = inputs
        return FunctionLatent(kind, ((sign * low * high, -sign * (low + high), sign),), ())
    axis = random.randint(-4, 4)
    parabola = (sign * axis**2 + height, -2 * sign * axis, sign)
    return FunctionLatent(kind, (parabola,), inputs) if _visible(parabola, inputs) else None


def _visible(curve: tuple[int, ...], inputs: tuple[int, ...]) -> bool:
    return all(abs(value(curve, x)) < REACH for x in inputs)


def _formula(curve: tuple[int, ...]) -> str:
    """Such as `-x^2 + 4x - 1`."""
    text = ""
    for power in reversed(range(len(curve))):
        coefficient = curve[power]
        if not coefficient:
            continue
        number = str(abs(coefficient)) if abs(coefficient) != 1 or power == 0 else ""
        sign = " - " if coefficient < 0 else " + "
        text += (sign if text else sign.strip(" +")) + number + ("", "x", f"x^{power}")[min(power, 2)]
    return text or "0"


def _asked_values(latent: FunctionLatent) -> str:
    return " + ".join(f"f({x})" for x in latent.inputs)
