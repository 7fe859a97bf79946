"""Sample completions as a W&B table with the figures in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image

from lmm_r1.reporting.samples import spread
from lmm_r1.rollout.previews import scaled_down
from lmm_r1.rollout.store import PREVIEW_SIDE
from lmm_r1.types import Group

if TYPE_CHECKING:
    import wandb


def sample_table(groups: Sequence[Group], step: int, *, rows: int) -> wandb.Table:
    """At most `rows` completions of scored groups: from as many problems as possible, each rendering in turn.

    Columns: step, problem, question, figure (a problem's figures side by side, as large as a store keeps them), gold,
    completion, one for each reward term, reward, correct.
    """
    # Imported here: the rest of the reports must work where W&B is not wanted.
    import wandb

    chosen = spread(groups, rows)
    terms = sorted({term for group in chosen for score in group.scores for term in score.breakdown})
    table = wandb.Table(
        columns=["step", "problem", "question", "figure", "gold", "completion", *terms, "reward", "correct"]
    )
    most_samples = max((len(group.completions) for group in chosen), default=0)
    places = [(group, sample) for sample in range(most_samples) for group in chosen if sample < len(group.completions)]
    for group, sample in places[:rows]:
        problem, score = group.problem, group.scores[sample]
        table.add_data(
            step,
            problem.id,
            problem.question,
            wandb.Image(side_by_side([scaled_down(image, PREVIEW_SIDE) for image in problem.images]))
            if problem.images
            else None,
            problem.answer,
            group.completions[sample].text,
            *(score.breakdown.get(term) for term in terms),
            score.reward,
            score.correct,
        )
    return table


def side_by_side(images: Sequence[Image.Image]) -> Image.Image:
    """The images in one row on white, top edges aligned."""
    row = Image.new("RGB", (sum(image.width for image in images), max(image.height for image in images)), "white")
    left = 0
    for image in images:
        row.paste(image, (left, 0))
        left += image.width
    return row
