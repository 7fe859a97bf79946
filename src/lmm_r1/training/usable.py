"""The data of a run, looked over before its first step: what cannot be used is left out, listed and counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lightning.pytorch.utilities.rank_zero import rank_zero_only

from lmm_r1.disk_cache import DiskCache
from lmm_r1.evaluation.bad_rows import BAD_ROWS, BadRowsFile
from lmm_r1.evaluation.checked import askable_problems, checked_problems
from lmm_r1.rollout.askable import prompt_check
from lmm_r1.training.bad_rows import BadRows
from lmm_r1.training.golds import UsableProblems, with_verifiable_golds
from lmm_r1.training.settings import RolloutSettings, RunSettings
from lmm_r1.types import Problem


@dataclass(frozen=True)
class UsableData:
    """Made by `usable_data`; read by the run."""

    train: Sequence[Any]
    validation: Sequence[Problem]
    """Each problem in its place; one that cannot be asked raises `BadRowError`."""
    bad_rows: BadRows
    """Who deals with rows that prove bad when they are read."""

    @property
    def order_keys(self) -> list[str] | None:
        """What `PromptSchedule` orders the training set by; None for problems that are made by rule."""
        return self.train.order_keys() if isinstance(self.train, UsableProblems) else None


def usable_data(
    run: RunSettings, rollout: RolloutSettings, start: str, train: Any, validation: Any, *, supervised: bool = False
) -> UsableData:
    """Check prompts, pictures and golds of both parts; the first process does, and others learn from it.

    Args:
        start: the model that is asked.
        supervised: whether `train` has pairs of problem and response, which are not checked.

    Raises:
        UserError: too few rows are usable.
    """
    first = rank_zero_only.rank == 0
    # In the run's own folder too, so that a resumed run goes on with what it began with.
    cache = DiskCache(run.folder / "checks", run.cache)
    listing = BadRowsFile(run.folder / BAD_ROWS if first else None)
    # A check for each part: training problems are read in a thread of their own.
    check, other = (prompt_check(start, rollout.engine.keywords, rollout.max_new_tokens) for _ in range(2))
    held_out = checked_problems("validation", validation, check, cache, listing, run.min_usable_share, first=first)
    bad_rows = BadRows(listing, most=run.max_bad_rows)
    if supervised:
        return UsableData(train, held_out, bad_rows)
    problems = askable_problems(train, other, cache, first=first)
    learnt = with_verifiable_golds(
        problems, run.folder if first else None, cache=cache, first=first, least=run.min_usable_share, listing=listing
    )
    return UsableData(learnt, held_out, bad_rows)
