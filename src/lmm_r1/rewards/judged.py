"""What a term of the reward looks at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lmm_r1.rewards.verify import Verdict
    from lmm_r1.types import Completion, Problem


@dataclass(frozen=True)
class Judged:
    """A completion whose answer has been judged. Made by `compose.RewardSum`; read by the terms of the reward."""

    problem: Problem
    completion: Completion
    verdict: Verdict
    group: Sequence[Completion]
    """All G completions of the problem, this one among them."""

    @property
    def length(self) -> int:
        """Tokens of the completion, the end token included."""
        return len(self.completion.token_ids)
