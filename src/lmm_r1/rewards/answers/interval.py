"""Intervals and their unions: ends judged as mathematics, and open or closed as in the gold."""

from __future__ import annotations

from lmm_r1.rewards.answers.conditions import parse_set
from lmm_r1.rewards.answers.mathematics import judge_gold
from lmm_r1.rewards.answers.real_sets import infinity, same_pieces
from lmm_r1.rewards.answers.tolerance import judge_value
from lmm_r1.rewards.claim import Claim


def judge_interval(claim: Claim) -> str:
    r"""Whether both are the same set of real numbers, however its parts are cut and written.

    `[0, 1)`, `0 \le x < 1`, `(-\infty, 2] \cup \{5\}`, `x \ne 3` and "all real numbers except 3" are such sets; an
    infinite end must be open.
    """
    expected, given = parse_set(claim.gold), parse_set(claim.answer)
    if expected is None or given is None:
        return "unparsable"

    def same_end(gold: str, answer: str) -> bool:
        return judge_value(claim._replace(gold=gold, answer=answer)) == "ok"

    return "ok" if same_pieces(expected.pieces, given.pieces, same_end) else "wrong"


def judge_own_interval(claim: Claim) -> str:
    """Whether the gold is a set of real numbers whose ends parse."""
    gold = parse_set(claim.gold)
    if gold is None:
        return "unparsable"
    ends = [end for piece in gold.pieces for end in piece[:2] if infinity(end) is None]
    return next((reason for end in ends if (reason := judge_gold(end)) != "ok"), "ok")
