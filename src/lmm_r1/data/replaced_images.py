"""The same problems with pictures that show nothing: who scores as before was not looking."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256

import numpy as np
from PIL import Image

from lmm_r1.types import Problem

GREY = (128, 128, 128)


class ReplacedImages:
    """A data set whose every picture becomes another of the same size; ids, texts and golds stay.

    Args:
        replacement: `blank_image` or `noise_image`; a function of the picture and of a name that is its own, made of
            `seed`, the problem's id and the picture's place in the problem.
    """

    def __init__(
        self, problems: Sequence[Problem], replacement: Callable[[Image.Image, str], Image.Image], seed: int
    ) -> None:
        self._problems = problems
        self._replacement = replacement
        self._seed = seed

    def __len__(self) -> int:
        return len(self._problems)

    def __getitem__(self, index: int) -> Problem:
        problem = self._problems[index]
        images = tuple(
            self._replacement(image, f"{self._seed}/{problem.id}/{place}") for place, image in enumerate(problem.images)
        )
        return replace(problem, images=images)

    def location(self, index: int) -> tuple[str, int]:
        """The file and the line that a problem comes from."""
        return self._problems.location(index)


def blank_image(image: Image.Image, name: str) -> Image.Image:
    """Even grey."""
    return Image.new("RGB", image.size, GREY)


def noise_image(image: Image.Image, name: str) -> Image.Image:
    """Independent uniform colours for each pixel, the same for the same `name`."""
    generator = np.random.default_rng(list(sha256(name.encode()).digest()))
    width, height = image.size
    return Image.fromarray(generator.integers(0, 256, (height, width, 3), dtype=np.uint8))


REPLACEMENTS = {"blank": blank_image, "noise": noise_image}
"""What `images=` may ask for besides `as_given`."""
