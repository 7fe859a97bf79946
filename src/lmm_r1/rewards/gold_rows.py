"""The golds of a data set, each with the row that it stands in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lmm_r1.answer_rules import AnswerRules
from lmm_r1.errors import BadRowError
from lmm_r1.progress import ProgressLine
from lmm_r1.rewards.audit import HasGold


@dataclass(frozen=True)
class Gold:
    """A problem's gold alone."""

    answer: str
    answer_type: str
    choices: tuple[str, ...]
    rules: AnswerRules


@dataclass(frozen=True)
class UnreadRow:
    """A row that could not be read as far as its gold."""

    line: int
    reason: str


@dataclass(frozen=True)
class GoldRows:
    """Made by `gold_rows`; read by whoever says in words what an audit found."""

    golds: Sequence[HasGold]
    places: Sequence[int]
    """Where in the data set each gold stands."""
    lines: Sequence[int]
    """The line of each in its file, from 1; where there is no file, its place from 1."""
    unread: Sequence[UnreadRow]
    answer_type: str
    """What the data set declares for rows whose gold could not be read."""


def gold_rows(data: Any) -> GoldRows:
    """The golds of any data set, no picture decoded where it can do without.

    A data set with the method `golds()`, such as a file's, has one for each place. Of others the problems are read:
    their outlines where there are any, else each with its pictures, which are not kept.
    """
    if hasattr(data, "golds"):
        lines = [data.line(place) for place in range(len(data))]
        unread = [UnreadRow(bad.line, bad.reason) for bad in data.bad_rows]
        return GoldRows(data.golds(), range(len(data)), lines, unread, data.answer_type)
    golds: list[HasGold] = []
    places: list[int] = []
    unread = []
    done = ProgressLine(f"reading the golds of {type(data).__qualname__}", len(data))
    for place in range(len(data)):
        try:
            problem = data.outline(place).problem if hasattr(data, "outline") else data[place]
            golds.append(Gold(problem.answer, problem.answer_type, tuple(problem.choices), problem.rules))
            places.append(place)
        except BadRowError as error:
            unread.append(UnreadRow(place + 1, error.reason))
        done(place + 1)
    return GoldRows(golds, places, [place + 1 for place in places], unread, golds[0].answer_type if golds else "")
