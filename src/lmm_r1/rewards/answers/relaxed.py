"""Readings from charts: a number within five per cent, or the exact word."""

from __future__ import annotations

import re
from dataclasses import replace

from lmm_r1.rewards.answers.tolerance import quantity, same_quantity
from lmm_r1.rewards.answers.words import normal_text
from lmm_r1.rewards.claim import Claim

_TOLERANCE = 0.05
_YEAR = re.compile(r"1[5-9][0-9]{2}|20[0-9]{2}")


def judge_relaxed(claim: Claim) -> str:
    """Relaxed accuracy of ChartQA (arXiv 2203.10244, section 5.1): |answer - gold| ≤ 0.05 · |gold|, else exact text.

    Stricter than published where that pays nonsense: a gold that looks like a year, 1500 to 2099, must be met exactly
    (five per cent of 2020 are 101 years). A gold of 0 has no tolerance, and infinity and NaN are no numbers. Whether
    `5%` is 0.05 or 5 is `rules.percent`; `rules.relative_tolerance` replaces the 0.05.
    """
    gold = normal_text(claim.gold)
    if not gold:
        return "unparsable"
    expected, given = quantity(claim.gold), quantity(claim.answer)
    if expected is None:
        return "ok" if gold == normal_text(claim.answer) else "wrong"
    if given is None:
        return "wrong"
    tolerance = 0.0 if _YEAR.fullmatch(gold) else claim.rules.relative_tolerance or _TOLERANCE
    absolute = 0.0 if _YEAR.fullmatch(gold) else claim.rules.absolute_tolerance
    rules = replace(claim.rules, relative_tolerance=tolerance, absolute_tolerance=absolute)
    return "ok" if same_quantity(expected, given, rules) else "wrong"
