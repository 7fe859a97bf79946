"""A data set looked over before its first problem is asked: what cannot be asked is known, listed and counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lmm_r1.disk_cache import DiskCache
from lmm_r1.evaluation.bad_rows import BadRowsFile
from lmm_r1.rollout.outlines import outlined

if TYPE_CHECKING:
    from lmm_r1.rollout.askable import AskableProblems, PromptCheck


def prompt_check_of(model_path: str, engine: Mapping[str, Any], max_new_tokens: int) -> PromptCheck:
    """See `lmm_r1.rollout.askable.prompt_check`."""
    from lmm_r1.rollout.askable import prompt_check

    return prompt_check(model_path, engine, max_new_tokens)


def askable_problems(data: Any, check: PromptCheck, cache: DiskCache, *, first: bool = True) -> AskableProblems:
    """The problems, each in its place, and what is bad among them.

    Problems that are made by rule are not looked over, but looked at when they are read, like all others.

    Args:
        first: whether this is the process that looks, where there are several.
    """
    # Only now: it brings transformers, which tables and comparisons of results do without.
    from lmm_r1.rollout.askable import AskableProblems, unaskable

    if getattr(data, "generated", False):
        return AskableProblems(data, check, {})
    data = outlined(data)
    return AskableProblems(data, check, unaskable(data, check, cache, first=first))


def checked_problems(
    part: str,
    data: Any,
    check: PromptCheck,
    cache: DiskCache,
    listing: BadRowsFile,
    least: float,
    *,
    first: bool = True,
) -> AskableProblems:
    """The problems of a part of the data that is not learnt from, such as a benchmark; bad rows are listed.

    Raises:
        UserError: fewer than the share `least` of the rows are usable.
    """
    problems = askable_problems(data, check, cache, first=first)
    listing.settle(part, problems.data, problems.bad, least)
    return problems
