"""Groups as the rows of a table, one a completion, and back."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields

import pyarrow as pa
from PIL.Image import Image

from lmm_r1.answer_rules import AnswerRules
from lmm_r1.types import Completion, Group, Problem, Score

TERM = "reward/"
"""What precedes the name of a reward's term in its column."""

RULES = pa.struct(
    [
        ("relative_tolerance", pa.float64()),
        ("absolute_tolerance", pa.float64()),
        ("percent", pa.string()),
        ("iou_threshold", pa.float64()),
        ("simulator", pa.string()),
    ]
)
"""The fields of `AnswerRules`."""

COLUMNS = pa.schema(
    [
        ("step", pa.int64()),
        ("rank", pa.int32()),
        ("group", pa.int32()),
        ("sample", pa.int32()),
        ("problem", pa.string()),
        ("question", pa.string()),
        ("answer", pa.string()),
        ("answer_type", pa.string()),
        ("images", pa.list_(pa.string())),
        ("choices", pa.list_(pa.string())),
        ("source", pa.string()),
        ("family", pa.string()),
        ("rendering", pa.string()),
        ("rules", RULES),
        ("prompt_ids", pa.list_(pa.int32())),
        ("token_ids", pa.list_(pa.int32())),
        ("logprobs", pa.list_(pa.float32())),
        ("text", pa.string()),
        ("finish_reason", pa.string()),
        ("weight_version", pa.int64()),
        ("reward", pa.float64()),
        ("correct", pa.bool_()),
        ("reason", pa.string()),
    ]
)
"""Besides these, a float column `reward/<term>` for each term. What scores say is null where nothing was scored."""

_SURROGATE = re.compile("[\ud800-\udfff]")

PLAIN_FIELDS = tuple(field.name for field in fields(Problem) if field.name not in ("id", "images", "choices", "rules"))
"""The fields of a problem that are stored as they are."""


def to_rows(groups: Sequence[Group], step: int, rank: int, write_image: Callable[[Image], str]) -> pa.Table:
    """One row for each completion, group by group; `write_image` stores an image and returns its name."""
    terms = sorted({term for group in groups for score in group.scores for term in score.breakdown})
    rows = []
    for number, group in enumerate(groups):
        shared = {"step": step, "rank": rank, "group": number, **_problem_row(group.problem, write_image)}
        shared["prompt_ids"] = group.prompt_ids
        scores: Sequence[Score | None] = group.scores or [None] * len(group.completions)
        for sample, (completion, score) in enumerate(zip(group.completions, scores, strict=True)):
            rows.append({**shared, "sample": sample, **_completion_row(completion), **_score_row(score)})
    schema = pa.schema([*COLUMNS, *((TERM + term, pa.float64()) for term in terms)])
    return pa.Table.from_pylist(rows, schema=schema)


def from_rows(table: pa.Table, read_image: Callable[[str], Image | None] | None) -> list[Group]:
    """The groups that `to_rows` was given; `read_image` opens an image by that name, or none where it is lost."""
    groups: dict[tuple[int, int], Group] = {}
    for row in table.to_pylist():
        place = row["rank"], row["group"]
        if place not in groups:
            groups[place] = Group(_problem(row, read_image), tuple(row["prompt_ids"]), [])
        groups[place].completions.append(_completion(row))
        if row["reward"] is not None:
            groups[place].scores.append(_score(row))
    return list(groups.values())


def _storable(text: str) -> str:
    """The text with U+FFFD for each lone surrogate: half a character, which JSON can hold and UTF-8 cannot."""
    return _SURROGATE.sub("\ufffd", text)


def _problem_row(problem: Problem, write_image: Callable[[Image], str]) -> dict[str, object]:
    plain = {name: getattr(problem, name) for name in PLAIN_FIELDS}
    texts = {"question": _storable(problem.question), "answer": _storable(problem.answer)}
    images = [write_image(image) for image in problem.images]
    rules = asdict(problem.rules)
    choices = [_storable(choice) for choice in problem.choices]
    return {**plain, **texts, "problem": problem.id, "images": images, "choices": choices, "rules": rules}


def _problem(row: Mapping, read_image: Callable[[str], Image | None] | None) -> Problem:
    plain = {name: row[name] for name in PLAIN_FIELDS}
    opened = [read_image(name) for name in row["images"]] if read_image else []
    images = tuple(image for image in opened if image is not None)
    # Rollouts that were stored before there were rules have no such column.
    rules = AnswerRules(**(row.get("rules") or {}))
    return Problem(id=row["problem"], images=images, choices=tuple(row["choices"]), rules=rules, **plain)


def _completion_row(completion: Completion) -> dict[str, object]:
    values = {field.name: getattr(completion, field.name) for field in fields(Completion)}
    return {**values, "text": _storable(completion.text)}


def _completion(row: Mapping) -> Completion:
    values = {field.name: row[field.name] for field in fields(Completion)}
    return Completion(**{**values, "token_ids": tuple(row["token_ids"]), "logprobs": tuple(row["logprobs"])})


def _score_row(score: Score | None) -> dict[str, object]:
    if score is None:
        return {}
    breakdown = {TERM + term: value for term, value in score.breakdown.items()}
    return {"reward": score.reward, "correct": score.correct, "reason": score.reason, **breakdown}


def _score(row: Mapping) -> Score:
    breakdown = {
        name.removeprefix(TERM): value for name, value in row.items() if name.startswith(TERM) and value is not None
    }
    return Score(row["reward"], breakdown, row["correct"], row["reason"])
