"""What kinds of answer there are, and what a data set may settle about its own. Imports nothing heavy: workers read it.

Types and rules are values of a data set's configuration; `rewards` acts on them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lmm_r1.errors import UserError

ANSWER_TYPES = (
    "math",
    "number",
    "count",
    "choice",
    "yes_no",
    "text",
    "anls",
    "relaxed",
    "set",
    "tuple",
    "interval",
    "bbox",
    "actions",
)
"""What kind of answer a problem wants; the verifier follows from it. `docs/problems.md` describes each."""

PERCENTS = ("fraction", "number", "either")
"""What `50%` is the same as: 0.5, 50, or both."""


@dataclass(frozen=True)
class AnswerRules:
    """How near an answer must come to its gold. Made by `data` from its configuration; read by `rewards`.

    Raises UserError for a value that makes no sense.
    """

    relative_tolerance: float = 0.0
    """Share of the gold by which a numeric answer may miss it; 0 is exact. For `relaxed`, 0 means ChartQA's 0.05."""
    absolute_tolerance: float = 0.0
    """Distance by which a numeric answer may miss its gold; the wider of the two tolerances counts."""
    percent: str = "either"
    """One of `PERCENTS`."""
    iou_threshold: float = 0.5
    """The mean intersection over union from which boxes are right."""
    simulator: str = ""
    """For `actions`: the dotted name of the `Simulator` that plays them."""

    def __post_init__(self) -> None:
        for name in ("relative_tolerance", "absolute_tolerance"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(f"{name}={getattr(self, name)}: must be a number of at least 0")
        if self.percent not in PERCENTS:
            raise UserError(f"percent={self.percent}: choose one of {', '.join(PERCENTS)}")
        if not 0 < self.iou_threshold <= 1:
            raise UserError(f"iou_threshold={self.iou_threshold}: must be above 0 and at most 1")


EXACT = AnswerRules()
"""The rules where a data set sets none."""


def known_answer_type(answer_type: str) -> bool:
    """Whether it is one of `ANSWER_TYPES` or the dotted name of a judge of one's own, `module.function`."""
    return answer_type in ANSWER_TYPES or (
        "." in answer_type and all(part.isidentifier() for part in answer_type.split("."))
    )
