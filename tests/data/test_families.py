"""Gold answers recomputed from the text that a reader gets, without the families' own arithmetic."""

from __future__ import annotations

import re
from math import isqrt
from random import Random

import pytest

from lmm_r1.data.synthetic import FAMILIES

DRAWS = 150


def solve_chain(text: str) -> int:
    values = [eval(text[: match.end()]) for match in re.finditer(r"\d+", text)]
    assert min(values) >= 0
    return values[-1]


def solve_grid(text: str) -> int:
    board, question = text.split(". ")
    rows = [row.split() for row in board.split(" / ")]
    if "( )" in question:
        return sum(int(word.strip("()")) for row in rows for word in row if "(" in word)
    kind, number = re.fullmatch(r"Add (row|column) (\d)\.", question).groups()
    lines = rows if kind == "row" else list(zip(*rows, strict=True))
    return sum(int(word) for word in lines[int(number) - 1])


def solve_bars(text: str) -> int:
    heights = {name: int(height) for name, height in re.findall(r"([ABC]) = (\d)", text)}
    return eval(re.search(r"\. (.*) = \?", text)[1], heights)


def solve_count(text: str) -> int:
    things, question = text.split(". ")
    kinds = re.fullmatch(r"How many are (.*)\?", question)[1].split(" or ")
    wanted = [set(kind.removesuffix("s").split()) for kind in kinds]
    return sum(any(kind <= set(thing.split()) for kind in wanted) for thing in things.split(", "))


def solve_triangle(text: str) -> int:
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    if "D lies on BC" in text or "angle C in" in text:
        return 180 - sum(numbers)
    if "extended" in text:
        return sum(numbers)
    first, second = numbers
    if "area" in text:
        assert first * second % 2 == 0
        return first * second // 2
    square = first**2 - second**2 if "length" in text else first**2 + second**2
    third = isqrt(square)
    assert third**2 == square
    return third if "length" in text else first + second + third


def solve_function(text: str) -> int:
    if "slope" in text:
        left, low, right, high = (int(number) for number in re.findall(r"-?\d+", text))
        assert (high - low) % (right - left) == 0
        return (high - low) // (right - left)
    formulas = re.findall(r"[fg]\(x\) = ([-+x\d^ ]+?)(?: and|\.)", text)
    curves = [re.sub(r"(\d)x", r"\1*x", formula).replace("^", "**") for formula in formulas]

    def value(curve: str, x: int) -> int:
        return eval(curve, {"x": x})

    places = range(-10, 11)
    if "root" in text:
        return max(x for x in places if value(curves[0], x) == 0)
    if "At which x" in text:
        (meeting,) = [x for x in places if value(curves[0], x) == value(curves[1], x)]
        return meeting
    asked = text.split("What is ")[1]
    return sum(value(curves[0], int(x)) for x in re.findall(r"f\((-?\d+)\)", asked))


def solve_chart(text: str) -> int:
    listing, question = text.split(". ", 1)
    sold = {day: int(number) for day, number in re.findall(r"(\w{3}) (\d+)", listing)}
    asked = [sold[day] for day in re.findall("Mon|Tue|Wed|Thu|Fri", question)]
    if "best day" in question:
        return max(sold.values()) - min(sold.values())
    if "mean" in question:
        assert sum(sold.values()) % 5 == 0
        return sum(sold.values()) // 5
    if "costs" in question:
        return int(re.search(r"\d+", question)[0]) * sum(asked)
    return sum(asked) if "How many tickets" in question else sum(asked[:-1]) - asked[-1]


def solve_table(text: str) -> int:
    rows = {
        item: (int(price), int(stock)) for item, price, stock in re.findall(r"(\w+): price (\d+), stock (\d+)", text)
    }
    order = re.findall(r"(\d+|all) (\w+)s\b", text.split("What do ")[1])
    return sum(rows[item][0] * (rows[item][1] if number == "all" else int(number)) for number, item in order)


def solve_shape(text: str) -> str:
    seen, question = text.removeprefix("a ").split(". ")
    colour, shape = seen.split()
    which = re.fullmatch(r"what (color|shape) is it\?", question)
    if which:
        return colour if which[1] == "color" else shape
    negated, asked = re.fullmatch(r"is there (not )?a (.*)\?", question).groups()
    there = set(asked.split()) - {"shape"} <= {colour, shape}
    return "yes" if there != bool(negated) else "no"


SOLVERS = {
    "chain": solve_chain,
    "grid": solve_grid,
    "bars": solve_bars,
    "count": solve_count,
    "shape": solve_shape,
    "triangle": solve_triangle,
    "function": solve_function,
    "chart": solve_chart,
    "table": solve_table,
}


def draws(family):
    random = Random(0)
    for level in range(family.levels[0], family.levels[1] + 1):
        for _ in range(DRAWS):
            yield level, family.sample(random, level)


@pytest.mark.parametrize("name", list(FAMILIES))
def test_every_gold_is_what_the_text_asks_for(name):
    family = FAMILIES[name]
    for _, latent in draws(family):
        text = family.statement(latent)
        assert family.answer(latent) == str(SOLVERS[name](text)), text


@pytest.mark.parametrize("name", list(FAMILIES))
def test_a_worked_solution_ends_in_the_gold(name):
    family = FAMILIES[name]
    for _, latent in draws(family):
        work = family.work(latent)
        if name not in ("count", "shape"):
            assert re.findall(r"-?\d+", work.replace(" - ", " minus "))[-1] == family.answer(latent)


def test_a_worked_count_adds_up_to_the_gold():
    family = FAMILIES["count"]
    for _, latent in draws(family):
        found = re.findall(r"(\d+) [a-z]", family.work(latent))
        assert str(sum(int(number) for number in found)) == family.answer(latent)


def test_answers_are_spread_so_that_no_constant_guess_pays():
    for name, family in FAMILIES.items():
        answers = [family.answer(latent) for _, latent in draws(family)]
        most = max(answers.count(answer) for answer in set(answers))
        assert most / len(answers) < (0.45 if name in ("count", "shape") else 0.25), name


def test_difficulty_is_the_number_of_values_in_the_small_families():
    for level, latent in draws(FAMILIES["chain"]):
        assert len(latent.numbers) == level
    for level, latent in draws(FAMILIES["grid"]):
        assert len(latent.cells) == len(set(latent.cells)) == level
    for level, latent in draws(FAMILIES["bars"]):
        assert len(latent.asked) == level
    for level, latent in draws(FAMILIES["count"]):
        assert len(latent.wanted) == (2 if level == 4 else 1)
        assert len(set(latent.wanted)) == len(latent.wanted)


def test_texts_of_the_small_families_stay_short():
    for name in ("chain", "grid", "bars", "count", "shape"):
        for _, latent in draws(FAMILIES[name]):
            assert len(re.findall(r"\w+|[^\w\s]", FAMILIES[name].statement(latent))) <= 42


def test_triangles_have_room_for_their_labels():
    for _, latent in draws(FAMILIES["triangle"]):
        if latent.kind.endswith("angle"):
            assert min(*latent.values, 180 - sum(latent.values)) >= 30
        else:
            assert max(latent.values) <= 4 * min(latent.values)
