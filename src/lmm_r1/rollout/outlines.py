"""Data sets read for what can be known without decoding pictures, and rows of them that cannot be read at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any, Protocol

from lmm_r1.errors import BadRowError
from lmm_r1.progress import ProgressLine
from lmm_r1.types import Outline, Problem


class Outlined(Protocol):
    """A data set that tells what it asks without decoding pictures, such as `lmm_r1.data.local.LocalDataset`."""

    def __len__(self) -> int: ...

    def __getitem__(self, place: int, /) -> Problem: ...

    def outline(self, place: int, /) -> Outline:
        """Raises `BadRowError` for a row that cannot be used. Called from several threads at once."""
        ...

    def fingerprint(self) -> str:
        """Changes with what the problems say."""
        ...


class ReadOutlines:
    """Any other data set: every problem is read once, and its outline kept."""

    def __init__(self, data: Sequence[Problem]) -> None:
        self.data = data
        done = ProgressLine(f"reading {type(data).__qualname__}", len(data))
        self._outlines: list[Outline | BadRowError] = []
        for place in range(len(data)):
            problem = read_or_fault(data.__getitem__, place)
            self._outlines.append(problem if isinstance(problem, BadRowError) else outline_of(problem))
            done(place + 1)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, place: int) -> Problem:
        return self.data[place]

    def outline(self, place: int) -> Outline:
        """See `Outlined`."""
        outline = self._outlines[place]
        if isinstance(outline, BadRowError):
            raise outline.afresh()
        return outline

    def fingerprint(self) -> str:
        """SHA-256 over all that is known without decoding pictures."""
        outlines = [str(entry) if isinstance(entry, BadRowError) else asdict(entry) for entry in self._outlines]
        return hashlib.sha256(json.dumps(outlines).encode()).hexdigest()

    def location(self, place: int) -> tuple[str, int]:
        """See `location_of`."""
        return location_of(self.data, place)

    def order_keys(self) -> list[str]:
        """See `order_keys_of`."""
        return order_keys_of(self.data)


def outlined(data: Any) -> Outlined:
    """The data set itself where it has outlines; else every problem is read."""
    return data if hasattr(data, "outline") and hasattr(data, "fingerprint") else ReadOutlines(data)


def outline_of(problem: Problem) -> Outline:
    return Outline(replace(problem, images=()), tuple(image.size for image in problem.images))


def read_or_fault(read: Callable[[int], Any], place: int) -> Any:
    """What `read` returns, or the `BadRowError` that it raises."""
    try:
        return read(place)
    except BadRowError as error:
        return error.afresh()


def location_of(data: Any, place: int) -> tuple[str, int]:
    """The file and the line that a problem comes from; of a data set without files its class, and the place from 1."""
    own = getattr(data, "location", None)
    return own(place) if own else (f"{type(data).__module__}.{type(data).__qualname__}", place + 1)


def order_keys_of(data: Any) -> list[str]:
    """For each problem a name that stays when other rows come or go: the data set's own, or its place."""
    own = getattr(data, "order_keys", None)
    return own() if own else [str(place) for place in range(len(data))]
