"""Pictures that show nothing."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from lmm_r1.data.replaced_images import REPLACEMENTS, ReplacedImages, blank_image, noise_image
from lmm_r1.types import Problem

PROBLEMS = [
    Problem("text", "1 + 1 = ?", "2"),
    Problem("one", "<image>What is it?", "A", images=(Image.new("RGB", (56, 84), "red"),)),
    Problem("two", "<image><image>", "B", images=(Image.new("RGB", (28, 28)), Image.new("RGB", (28, 28)))),
]


@pytest.mark.parametrize("name", REPLACEMENTS)
def test_only_the_pixels_change(name):
    replaced = ReplacedImages(PROBLEMS, REPLACEMENTS[name], seed=0)
    assert len(replaced) == len(PROBLEMS)
    for before, after in zip(PROBLEMS, map(replaced.__getitem__, range(len(replaced))), strict=True):
        assert [image.size for image in after.images] == [image.size for image in before.images]
        assert all(image.mode == "RGB" for image in after.images)
        assert (after.id, after.question, after.answer) == (before.id, before.question, before.answer)
        assert all(old.tobytes() != new.tobytes() for old, new in zip(before.images, after.images, strict=True))


def test_noise_follows_from_seed_problem_and_place_alone():
    def pixels(seed: int, index: int, place: int = 0) -> bytes:
        return ReplacedImages(PROBLEMS, noise_image, seed)[index].images[place].tobytes()

    assert pixels(0, 2) == pixels(0, 2)
    assert len({pixels(0, 2), pixels(1, 2), pixels(0, 2, 1)}) == 3


def test_a_blank_picture_has_one_colour_and_noise_has_no_structure():
    picture = Image.new("RGB", (64, 64), "blue")
    assert len(np.unique(np.asarray(blank_image(picture, "")).reshape(-1, 3), axis=0)) == 1
    noise = np.asarray(noise_image(picture, "")).astype(float)
    assert abs(noise.mean() - 127.5) < 3
    assert abs(np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1]) < 0.05
