"""What a step's rollouts were like: each term of the reward on its own, over all of them and by part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import lightning as L
import torch

from lmm_r1.training.distributed import gather_objects
from lmm_r1.types import Completion, Group, Problem, Score

REASONS = ("ok", "wrong", "no_answer", "unparsable", "timeout", "killed")
"""Verdicts that are reported even where none was given; others when they occur."""


class Row(NamedTuple):
    """A completion in numbers, light enough to travel between processes."""

    parts: frozenset[str]
    """The source and the rendering of its problem."""
    values: dict[str, float]
    """What is averaged over all and by part."""
    correct: bool
    reason: str
    length: int
    truncated: bool


def rollout_metrics(
    trainer: L.Trainer, groups: Sequence[Group], silent: torch.Tensor, verifying: Mapping[str, float]
) -> dict[str, float]:
    """Means over the completions of all processes.

    `silent` `[P]` marks the groups without variance; `verifying` is what judging them took on this process
    (`RewardSum.statistics`).

    - `reward/mean`, `reward/<term>` before its weight, `accuracy`; each of them also as `…/<part>`, over the
      completions whose source or rendering is `<part>`
    - `verdict/<reason>`: the share of the completions that were judged so, `verdict/timeout` for one
    - `verifier/claims`, `verifier/timeouts`, `verifier/seconds`, …: `verifying`, summed over the processes
    - `completion/length`, and by verdict `completion/length_correct` and `completion/length_wrong`, in tokens

    What nothing was measured of in this step, such as a source that was not drawn or the length of right answers
    where none was right, is left out: an empty cell, not a 0.
    """
    mine = [
        _row(group.problem, completion, score)
        for group in groups
        for completion, score in zip(group.completions, group.scores, strict=True)
    ]
    prompt_tokens = sum(len(group.prompt_ids) for group in groups)
    processes = gather_objects(trainer, (mine, silent.tolist(), prompt_tokens, verifying))
    rows = [row for theirs, *_ in processes for row in theirs]
    return {
        **_averages(rows),
        **_verdicts(rows),
        **_lengths(rows),
        "groups/zero_variance": _mean(flag for _, flags, *_ in processes for flag in flags),
        "prompt/tokens": sum(tokens for _, _, tokens, _ in processes),
        **{name: sum(counts[name] for *_, counts in processes) for name in verifying},
    }


def _row(problem: Problem, completion: Completion, score: Score) -> Row:
    return Row(
        parts=frozenset({problem.source, problem.rendering} - {""}),
        values={
            "reward/mean": score.reward,
            "accuracy": float(score.correct),
            **{f"reward/{term}": value for term, value in score.breakdown.items()},
        },
        correct=score.correct,
        reason=score.reason,
        length=len(completion.token_ids),
        truncated=completion.truncated,
    )


def _averages(rows: Sequence[Row]) -> dict[str, float]:
    parts: dict[str, list[Row]] = {}
    for row in rows:
        for part in row.parts:
            parts.setdefault(part, []).append(row)
    metrics = {name: _mean(row.values[name] for row in rows) for name in rows[0].values}
    for name in rows[0].values:
        for part, its_rows in sorted(parts.items()):
            metrics[f"{name}/{part}"] = _mean(row.values[name] for row in its_rows)
    return metrics


def _verdicts(rows: Sequence[Row]) -> dict[str, float]:
    counts = Counter(row.reason for row in rows)
    names = (*REASONS, *sorted(set(counts) - set(REASONS)))
    return {f"verdict/{name}": counts[name] / len(rows) for name in names}


def _lengths(rows: Sequence[Row]) -> dict[str, float]:
    metrics = {
        "completion/length": _mean(row.length for row in rows),
        "completion/tokens": sum(row.length for row in rows),
        "completion/truncated": _mean(row.truncated for row in rows),
    }
    for name, correct in (("correct", True), ("wrong", False)):
        lengths = [row.length for row in rows if row.correct == correct]
        if lengths:
            metrics[f"completion/length_{name}"] = _mean(lengths)
    return metrics


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return sum(values) / len(values)
