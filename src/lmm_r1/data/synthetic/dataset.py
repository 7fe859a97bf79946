"""Data sets of generated problems and of supervised traces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from random import Random
from typing import Any

from lmm_r1.data.synthetic.base import Family, figure, question_text, split_of, trace_text
from lmm_r1.data.synthetic.families import FAMILIES
from lmm_r1.errors import UserError
from lmm_r1.types import RENDERINGS, Problem

SIZE_KEYS = {"train": "dataset.size", "validation": "dataset.validation_size", "test": "benchmark.size"}
"""The splits, and the key that sets the size of each."""

FINGERPRINTED = 64
"""Entries that a fingerprint looks at, besides the settings: they change when a family's own rules do."""

ATTEMPTS = 2000
"""Draws before a split counts as exhausted: one draw in ten hits the smaller splits."""


@dataclass(frozen=True)
class Item:
    """One entry before it is rendered."""

    number: int
    """Of its latent problem; entries that show the same latent problem share it."""
    family: Family[Any]
    latent: Any
    rendering: str


class SyntheticDataset:
    """Problems made on the spot with exact answers; the same arguments give the same problems.

    In `train`, `size` is the number of entries, and each draws its own family, latent problem and rendering.
    In `validation` and `test`, `size` is the number of latent problems, all different, and each appears in
    every rendering, one after the other: the data set has `size · len(renderings)` entries. Latent problems
    of different splits differ, whatever the seeds.

    Args:
        difficulty: least and greatest difficulty, about how many values an answer is made of; each family
            uses the part of the range that it has.
        image_size: width and height of the figures in pixels; those that are not square have the same area. At 84
            the small boards put each cell on one visual token (28 × 28 pixels).

    Raises:
        UserError: when an argument is unknown or impossible.
    """

    generated = True
    """Made by rule: golds are exact and no picture is damaged, so that nothing needs to be read before a run."""

    def __init__(
        self,
        split: str,
        size: int,
        families: Sequence[str],
        renderings: Sequence[str],
        difficulty: tuple[int, int],
        image_size: int,
        seed: int,
    ) -> None:
        _check(split, size, families, renderings, difficulty, image_size)
        self.split = split
        self.size = size
        self.renderings = tuple(renderings)
        self.image_size = image_size
        self.seed = seed
        self._families = [FAMILIES[name] for name in families]
        self._levels = [_levels(family, difficulty) for family in self._families]
        self._paired = [] if split == "train" else self._draw_all_different()

    def __len__(self) -> int:
        return self.size if self.split == "train" else self.size * len(self.renderings)

    def __getitem__(self, index: int) -> Problem:
        return self.problem(self.item(index))

    def item(self, index: int) -> Item:
        """The entry before it is rendered.

        Raises:
            IndexError: outside `0 … len - 1`.
        """
        if not 0 <= index < len(self):
            raise IndexError(index)
        if self._paired:
            number, rendering = divmod(index, len(self.renderings))
            family, latent = self._paired[number]
            return Item(number, family, latent, self.renderings[rendering])
        random = self._random(index)
        which = random.randrange(len(self._families))
        rendering = random.choice(self.renderings)
        return Item(index, self._families[which], self._draw(which, random), rendering)

    def fingerprint(self) -> str:
        """SHA-256 over the settings and evenly spaced entries, none of them drawn."""
        places = range(0, len(self), max(1, len(self) // FINGERPRINTED))
        items = [(item.family.name, item.latent, item.rendering) for item in map(self.item, places)]
        settings = (self.split, self.size, self.renderings, self.image_size, self.seed, self._levels, items)
        return sha256(repr(settings).encode()).hexdigest()

    def problem(self, item: Item) -> Problem:
        """Render an entry: write its question and draw its figure."""
        family, latent, rendering = item.family, item.latent, item.rendering
        images = ()
        if rendering != "text_only":
            look = self._random(f"{item.number}/{rendering}")
            images = (figure(family, latent, rendering, self.image_size, look),)
        return Problem(
            id=f"{family.name}-{self.split}-{self.seed}-{item.number}/{rendering}",
            question=question_text(family, latent, rendering),
            answer=family.answer(latent),
            answer_type=family.answer_type,
            images=images,
            source="synthetic",
            family=family.name,
            rendering=rendering,
        )

    def _random(self, name: int | str) -> Random:
        return Random(f"{self.seed}/{self.split}/{name}")

    def _draw(self, which: int, random: Random) -> Any:
        """A latent problem of this split, by rejection."""
        family, (least, greatest) = self._families[which], self._levels[which]
        for _ in range(ATTEMPTS):
            latent = family.sample(random, random.randint(least, greatest))
            if split_of(family, latent) == self.split:
                return latent
        raise self._exhausted(family)

    def _draw_all_different(self) -> list[tuple[Family[Any], Any]]:
        random = self._random("latents")
        drawn: dict[tuple[str, Any], Family[Any]] = {}
        for number in range(self.size):
            which = number % len(self._families)
            family = self._families[which]
            for _ in range(ATTEMPTS):
                latent = self._draw(which, random)
                if (family.name, latent) not in drawn:
                    drawn[family.name, latent] = family
                    break
            else:
                raise self._exhausted(family)
        return [(family, latent) for (_, latent), family in drawn.items()]

    def _exhausted(self, family: Family[Any]) -> UserError:
        return UserError(
            f"{SIZE_KEYS[self.split]}={self.size}: the family {family.name} has fewer different problems of this "
            f"difficulty in its {self.split} split; ask for fewer or widen difficulty"
        )


class TraceDataset:
    """Generated problems, each with a supervised response that ends in the true answer.

    Args:
        steps_share: the share of responses that are worked out in steps, the others answer at a glance; one
            number, or one for each rendering.

    The other arguments are those of `SyntheticDataset`.
    """

    generated = True
    """See `SyntheticDataset`."""

    def __init__(
        self,
        split: str,
        size: int,
        families: Sequence[str],
        renderings: Sequence[str],
        difficulty: tuple[int, int],
        image_size: int,
        seed: int,
        steps_share: float | Mapping[str, float] = 0.5,
    ) -> None:
        self.problems = SyntheticDataset(split, size, families, renderings, difficulty, image_size, seed)
        shares = steps_share if isinstance(steps_share, Mapping) else dict.fromkeys(renderings, steps_share)
        for rendering in renderings:
            if not 0 <= shares.get(rendering, -1) <= 1:
                raise UserError(f"dataset.steps_share: {rendering} needs a share between 0 and 1")
        self._shares = dict(shares)

    def __len__(self) -> int:
        return len(self.problems)

    def fingerprint(self) -> str:
        return sha256(f"{self.problems.fingerprint()} {sorted(self._shares.items())}".encode()).hexdigest()

    def __getitem__(self, index: int) -> tuple[Problem, str]:
        item = self.problems.item(index)
        style = Random(f"{self.problems.seed}/{self.problems.split}/{index}/style").random()
        in_steps = style < self._shares[item.rendering]
        return self.problems.problem(item), trace_text(item.family, item.latent, item.rendering, in_steps)


def _check(
    split: str,
    size: int,
    families: Sequence[str],
    renderings: Sequence[str],
    difficulty: Sequence[int],
    image_size: int,
) -> None:
    if split not in SIZE_KEYS:
        raise UserError(f"dataset.split={split}: choose one of {', '.join(SIZE_KEYS)}")
    if size < 1:
        raise UserError(f"{SIZE_KEYS[split]}={size}: ask for at least one problem")
    if image_size < 28:
        raise UserError(f"dataset.image_size={image_size}: a figure needs at least 28 pixels")
    if len(difficulty) != 2 or difficulty[0] > difficulty[1]:
        raise UserError(f"dataset.difficulty={list(difficulty)}: give the least and the greatest, e.g. [3, 5]")
    for key, names, known in (("families", families, FAMILIES), ("renderings", renderings, RENDERINGS)):
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            raise UserError(f"dataset.{key}={list(names)}: choose from {', '.join(known)}")


def _levels(family: Family[Any], difficulty: tuple[int, int]) -> tuple[int, int]:
    least, greatest = max(difficulty[0], family.levels[0]), min(difficulty[1], family.levels[1])
    if least > greatest:
        raise UserError(
            f"dataset.difficulty={list(difficulty)}: the family {family.name} has difficulties "
            f"{family.levels[0]} to {family.levels[1]}"
        )
    return least, greatest
