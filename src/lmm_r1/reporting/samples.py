"""Choose stored completions for a reader, and shrink their figures to what a page can carry."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from lmm_r1.rollout.previews import encoded
from lmm_r1.types import Completion, Group, Problem, Score

LONGEST_TEXT = 1500
"""Characters of a question or a completion that are shown."""

FIGURE_SIZE = 256
"""Pixels of the longer side of a shown figure."""

MOST_PNG_BYTES = 20_000
"""Above this a figure is a photograph, and is stored as JPEG instead."""


@dataclass(frozen=True)
class ShownCompletion:
    """One completion on the page."""

    label: str
    text: str
    score: Score | None
    length: int
    truncated: bool


@dataclass(frozen=True)
class ShownProblem:
    """One problem on the page with its figures and some of its completions."""

    problem: Problem
    question: str
    figures: tuple[str, ...]
    """Data URIs."""
    note: str
    completions: tuple[ShownCompletion, ...]


def spread(groups: Sequence[Group], count: int) -> list[Group]:
    """At most `count` groups, each rendering in turn, evenly spaced among those of its rendering."""
    if len(groups) <= count:
        return list(groups)
    by_rendering: dict[str, list[Group]] = {}
    for group in groups:
        by_rendering.setdefault(group.problem.rendering, []).append(group)
    kinds = list(by_rendering.values())
    chosen: list[Group] = []
    for kind, members in enumerate(kinds):
        wanted = min(len(members), len(range(kind, count, len(kinds))))
        chosen += [members[place * len(members) // wanted] for place in range(wanted)]
    return chosen


def show_group(group: Group, most: int) -> ShownProblem:
    """A training group with its best, its worst and the completions between, by reward, at most `most`."""
    pairs = _scored(group)
    pairs.sort(key=lambda pair: pair[1].reward if pair[1] else 0.0, reverse=True)
    places = [round(place * (len(pairs) - 1) / max(1, most - 1)) for place in range(min(most, len(pairs)))]
    right = sum(score.correct for score in group.scores)
    note = f"{right} of {len(group.completions)} right" if group.scores else "not scored"
    return _shown(group.problem, note, [("", *pairs[place]) for place in places])


def show_change(before: Group, after: Group) -> ShownProblem:
    """A validation problem with the first completion of two policies."""
    pairs = [("before", *_scored(before)[0]), ("after", *_scored(after)[0])]
    return _shown(after.problem, "", pairs)


def data_uri(image: Image.Image) -> str:
    """The image as a data URI, at most `FIGURE_SIZE` pixels a side."""
    kind, content = encoded(image, FIGURE_SIZE, MOST_PNG_BYTES)
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _scored(group: Group) -> list[tuple[Completion, Score | None]]:
    scores = group.scores or [None] * len(group.completions)
    return list(zip(group.completions, scores, strict=True))


def _shown(problem: Problem, note: str, completions: Sequence[tuple[str, Completion, Score | None]]) -> ShownProblem:
    return ShownProblem(
        problem=problem,
        question=_shortened(problem.question),
        figures=tuple(data_uri(image) for image in problem.images),
        note=note,
        completions=tuple(
            ShownCompletion(label, _shortened(one.text), score, len(one.token_ids), one.truncated)
            for label, one, score in completions
        ),
    )


def _shortened(text: str) -> str:
    hidden = len(text) - LONGEST_TEXT
    return text if hidden <= 0 else f"{text[:LONGEST_TEXT]} … ({hidden} more characters)"
