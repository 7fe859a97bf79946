"""What a family of problems is, and how one latent problem becomes a question, a figure and a trace.

A latent problem is a frozen dataclass of plain values. It does not know how it is shown: the five renderings
are made here from the few pieces that each family gives (MathVerse, arXiv 2403.14624, section 2, moves
information from text to figure in the same five steps).
"""

from __future__ import annotations

from hashlib import sha256
from random import Random
from typing import Protocol, TypeVar

from PIL import Image

from lmm_r1.data.synthetic import canvas
from lmm_r1.types import IMAGE_MARKER

Latent = TypeVar("Latent")

MARKED = ("vision_dominant", "vision_only")
"""The renderings whose figure also shows what is asked: operators, shading, colours."""

VALUES_IN_TEXT = ("text_only", "text_dominant")
"""The renderings that can be answered without looking."""


class Family(Protocol[Latent]):
    """One kind of problem. The order of the methods is the order of use."""

    name: str
    levels: tuple[int, int]
    """The least and the greatest difficulty: about how many values the answer is made of."""

    answer_type: str
    """How an answer is verified, one of `types.ANSWER_TYPES`."""

    def sample(self, random: Random, level: int) -> Latent:
        """Draw a latent problem of exactly this difficulty. Equal problems compare and print equal."""
        ...

    def answer(self, latent: Latent) -> str:
        """The exact answer: an integer in digits, or a word."""
        ...

    def statement(self, latent: Latent) -> str:
        """The whole problem in words, all values included."""
        ...

    def bare_question(self, latent: Latent) -> str:
        """The question alone; the values have to be read off the figure."""
        ...

    def instruction(self, latent: Latent) -> str:
        """What to do with a marked figure, without any value, name or operator of this problem."""
        ...

    def draw(self, latent: Latent, marked: bool, size: int, random: Random) -> Image.Image:
        """The figure as an RGB picture of as many pixels as `size` × `size`; `marked` adds what is asked.

        `random` moves only what has no meaning, such as positions and shades.
        """
        ...

    def reading(self, latent: Latent) -> str:
        """What precedes the work where values have to be read off the figure, with those that the work lacks."""
        ...

    def work(self, latent: Latent) -> str:
        """The steps from the values to the answer, ending in it."""
        ...


def question_text(family: Family[Latent], latent: Latent, rendering: str) -> str:
    """The user's text in one rendering, with an `IMAGE_MARKER` in front wherever there is a figure."""
    if rendering == "text_only":
        return family.statement(latent)
    text = {
        "text_dominant": family.statement,
        "text_lite": family.bare_question,
        "vision_dominant": family.instruction,
        "vision_only": lambda _: "",
    }[rendering](latent)
    return IMAGE_MARKER + text


def figure(family: Family[Latent], latent: Latent, rendering: str, size: int, random: Random) -> Image.Image:
    """The picture of one rendering, RGB, of about as many pixels as `size` × `size`.

    From `canvas.CAPTION_FROM` pixels on, a vision-only figure carries the instruction as a caption. Below,
    letters would not be legible and the marks alone ask the question.
    """
    caption = family.instruction(latent) if rendering == "vision_only" and size >= canvas.CAPTION_FROM else ""

    def draw(pixels: int) -> Image.Image:
        return family.draw(latent, rendering in MARKED, pixels, random)

    return canvas.smooth(draw, size, caption)


def trace_text(family: Family[Latent], latent: Latent, rendering: str, in_steps: bool) -> str:
    """A supervised response with the true answer: worked out in steps, or answered at a glance."""
    if not in_steps:
        thought = "At a glance."
    elif rendering in VALUES_IN_TEXT:
        thought = family.work(latent)
    else:
        thought = f"{family.reading(latent)} {family.work(latent)}"
    return f"<think>{thought}</think><answer>{family.answer(latent)}</answer>"


def split_of(family: Family[Latent], latent: Latent) -> str:
    """The split of a latent problem, whatever the seed: 80 % train, 10 % validation, 10 % test."""
    bucket = int.from_bytes(sha256(f"{family.name}:{latent!r}".encode()).digest()[:8], "big") % 10
    return "train" if bucket < 8 else "validation" if bucket == 8 else "test"
