"""Angles, sides and areas of triangles."""

from __future__ import annotations

from cmath import rect
from dataclasses import dataclass
from math import hypot, radians, sin
from random import Random

from PIL import Image

from lmm_r1.data.synthetic.triangle_figure import Scene, draw_scene

KINDS = {2: ("third_angle",), 3: ("exterior_angle", "area"), 4: ("split_angle", "perimeter", "leg")}
TRIPLES = ((3, 4, 5), (5, 12, 13), (8, 15, 17), (20, 21, 29), (28, 45, 53), (33, 56, 65), (48, 55, 73))
LEAST_ANGLE = 30
"""Degrees; a label has no room in a sharper corner."""


@dataclass(frozen=True)
class TriangleLatent:
    kind: str
    values: tuple[int, ...]
    """The angles in degrees, or the sides, that are given, in the order of the statement."""


class Triangle:
    """Difficulty 2: the third angle. 3: an exterior angle; an area. 4: a divided angle; Pythagoras.

    Figures are to scale, turned and mirrored at random.
    """

    name = "triangle"
    levels = (2, 4)
    answer_type = "number"

    def sample(self, random: Random, level: int) -> TriangleLatent:
        kind = random.choice(KINDS[level])
        if kind in ("third_angle", "exterior_angle"):
            first = random.randint(LEAST_ANGLE, 110)
            return TriangleLatent(kind, (first, random.randint(LEAST_ANGLE, 150 - first)))
        if kind == "split_angle":
            left, right = random.randint(LEAST_ANGLE, 55), random.randint(LEAST_ANGLE, 55)
            part = random.randint(LEAST_ANGLE, 150 - left - right)
            return TriangleLatent(kind, (left, right, part))
        if kind == "area":
            first = random.randint(4, 25)
            second = random.randint(max(4, first // 2), min(25, 2 * first))
            return TriangleLatent(kind, (first, second + first * second % 2))
        *legs, hypotenuse = random.choice(TRIPLES)
        random.shuffle(legs)
        scale = random.randint(1, 150 // hypotenuse)
        given = (hypotenuse, legs[0]) if kind == "leg" else tuple(legs)
        return TriangleLatent(kind, tuple(side * scale for side in given))

    def answer(self, latent: TriangleLatent) -> str:
        values = latent.values
        return str(
            {
                "third_angle": lambda: 180 - sum(values),
                "exterior_angle": lambda: sum(values),
                "split_angle": lambda: 180 - sum(values),
                "area": lambda: values[0] * values[1] // 2,
                "perimeter": lambda: sum(values) + round(hypot(*values)),
                "leg": lambda: round((values[0] ** 2 - values[1] ** 2) ** 0.5),
            }[latent.kind]()
        )

    def statement(self, latent: TriangleLatent) -> str:
        values = latent.values
        given = {
            "third_angle": "In triangle ABC, angle A = {}° and angle B = {}°.",
            "exterior_angle": "In triangle ABC, angle A = {}° and angle B = {}°. BC is extended beyond C to D.",
            "split_angle": "In triangle ABC, D lies on BC, angle B = {}°, angle C = {}° and angle BAD = {}°.",
            "area": "Triangle ABC has a right angle at C, AC = {} and BC = {}.",
            "perimeter": "Triangle ABC has a right angle at C, AC = {} and BC = {}.",
            "leg": "Triangle ABC has a right angle at C, AB = {} and AC = {}.",
        }[latent.kind].format(*values)
        return f"{given} {self.bare_question(latent)}"

    def bare_question(self, latent: TriangleLatent) -> str:
        return {
            "third_angle": "What is angle C in degrees?",
            "exterior_angle": "What is angle ACD in degrees?",
            "split_angle": "What is angle DAC in degrees?",
            "area": "What is the area of triangle ABC?",
            "perimeter": "What is the perimeter of triangle ABC?",
            "leg": "What is the length of BC?",
        }[latent.kind]

    def instruction(self, latent: TriangleLatent) -> str:
        return "Find the value marked with a question mark."

    def draw(self, latent: TriangleLatent, marked: bool, size: int, random: Random) -> Image.Image:
        return draw_scene(_scene(latent), marked, size, random)

    def reading(self, latent: TriangleLatent) -> str:
        return f"I see {', '.join(str(value) for value in latent.values)}."

    def work(self, latent: TriangleLatent) -> str:
        first, second, *_ = values = latent.values
        answer = int(self.answer(latent))
        if latent.kind in ("third_angle", "split_angle"):
            return f"{' + '.join(map(str, values))} = {sum(values)}. 180 - {sum(values)} = {answer}."
        if latent.kind == "exterior_angle":
            return f"{first} + {second} = {answer}."
        if latent.kind == "area":
            return f"{first} * {second} = {first * second}. {first * second} / 2 = {answer}."
        if latent.kind == "leg":
            return f"{first}^2 - {second}^2 = {answer**2} = {answer}^2. The leg is {answer}."
        third = answer - first - second
        return f"{first}^2 + {second}^2 = {third**2} = {third}^2. {first} + {second} + {third} = {answer}."


def _scene(latent: TriangleLatent) -> Scene:
    """The figure's geometry: points in the complex plane, and what is written where."""
    values = latent.values
    if latent.kind in ("third_angle", "exterior_angle"):
        points = _from_angles("ABC", values[0], values[1])
        given = {"BAC": f"{values[0]}°", "ABC": f"{values[1]}°"}
        if latent.kind == "third_angle":
            return Scene(points, ("AB", "BC", "CA"), given, {}, asked="ACB")
        points["D"] = points["C"] + 0.45 * (points["C"] - points["B"])
        return Scene(points, ("AB", "BC", "CD", "CA"), given, {}, asked="ACD")
    if latent.kind == "split_angle":
        left, right, part = values
        points = _from_angles("BCA", left, right)
        foot = sin(radians(part)) / sin(radians(180 - left - part)) * abs(points["A"] - points["B"])
        points["D"] = points["B"] + foot * (points["C"] - points["B"]) / abs(points["C"] - points["B"])
        given = {"ABC": f"{left}°", "ACB": f"{right}°", "BAD": f"{part}°"}
        return Scene(points, ("AB", "BD", "DC", "CA", "AD"), given, {}, asked="DAC")
    if latent.kind == "leg":
        hypotenuse, leg = values
        points = {"C": 0j, "A": complex(leg), "B": complex(0, (hypotenuse**2 - leg**2) ** 0.5)}
        sides = {"AB": str(hypotenuse), "AC": str(leg)}
        return Scene(points, ("AB", "BC", "CA"), {}, sides, right_angle="ACB", asked="BC")
    points = {"C": 0j, "A": complex(values[0]), "B": complex(0, values[1])}
    sides = {"AC": str(values[0]), "BC": str(values[1])}
    return Scene(points, ("AB", "BC", "CA"), {}, sides, right_angle="ACB", asked=latent.kind)


def _from_angles(names: str, first: int, second: int) -> dict[str, complex]:
    """A triangle with these angles in degrees at its first two corners; its first side is 1."""
    side = sin(radians(second)) / sin(radians(180 - first - second))
    return dict(zip(names, (0j, 1 + 0j, rect(side, radians(first))), strict=True))
