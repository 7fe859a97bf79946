"""What a judge is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from lmm_r1.answer_rules import EXACT, AnswerRules


class Claim(NamedTuple):
    """That `answer` is `gold`: what a verifier judges, and what is judged only once.

    Hashable, and made of plain values, so that it travels to workers.
    """

    gold: str
    answer: str
    answer_type: str
    choices: tuple[str, ...] = ()
    rules: AnswerRules = EXACT


Judge = Callable[[Claim], str]
"""Says whether an answer is right: `"ok"`, `"wrong"`, or `"unparsable"`, where either of the two is no such answer."""
