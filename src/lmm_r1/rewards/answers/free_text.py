"""Free text, graded by how many letters differ: ANLS."""

from __future__ import annotations

import contextlib
import json
import re

from lmm_r1.rewards.answers.words import normal_text
from lmm_r1.rewards.claim import Claim

_THRESHOLD = 0.5
_NUMBER = re.compile(r"[0-9]+(?:[.,:/][0-9]+)*")


def judge_free_text(claim: Claim) -> str:
    """Whether `grade_free_text` reaches 0.5."""
    if not _golds(claim.gold):
        return "unparsable"
    return "ok" if grade_free_text(claim) >= _THRESHOLD else "wrong"


def grade_free_text(claim: Claim) -> float:
    """Average normalised Levenshtein similarity of one answer (ANLS; Biten et al., arXiv 1905.13648, equation 1).

    The score is 1 - distance / length of the longer text, and 0 where that is below 0.5; the best of several golds
    counts, which are written as a JSON list. Stricter than published: where the numbers in the two texts differ, the
    score is 0, or `1998` would earn three quarters of `1999`.
    """
    answer = normal_text(claim.answer)
    return max((_similarity(gold, answer) for gold in _golds(claim.gold)), default=0.0)


def _similarity(gold: str, answer: str) -> float:
    from rapidfuzz.distance import Levenshtein

    if _NUMBER.findall(gold) != _NUMBER.findall(answer):
        return 0.0
    similarity = Levenshtein.normalized_similarity(gold, answer)
    return similarity if similarity >= _THRESHOLD else 0.0


def _golds(text: str) -> list[str]:
    golds: list[object] = [text]
    if text.lstrip().startswith("["):
        with contextlib.suppress(ValueError):  # a text in brackets that is no list
            golds = json.loads(text)
    return [normal for gold in golds if (normal := normal_text(str(gold)))]
