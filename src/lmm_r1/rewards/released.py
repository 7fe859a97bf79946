"""The reward of LMM-R1 exactly as its authors released it, to reproduce the paper and to measure the difference.

Source: github.com/TideDra/lmm-r1, openrlhf/models/remote_rm/math_verifier.py, April 2025:
reward = 0.5 · format + accuracy. Known weaknesses are kept: a box inside `<think>` counts, an undelimited answer does
not, and the arguments of `math_verify.verify` are the wrong way round, which matters for relations.
They ran math-verify 0.5.2; on 0.8.0 some letters in lower case are accepted that were not.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lmm_r1.rewards.pool import VerifierPool
from lmm_r1.rewards.verify import Claim, Verdict, within_limits

if TYPE_CHECKING:
    from lmm_r1.rewards.judged import Judged
    from lmm_r1.types import Completion, Problem

_FORMAT = re.compile(r"^<think>(?:(?!</think>).)*</think><answer>(?:(?!</answer>).)*</answer>\Z", re.DOTALL)


def released_format(judged: Judged) -> float:
    """1.0 where their expression matches and `<think>` and `<answer>` occur once each; not a space between the tags."""
    text = judged.completion.text.strip()
    return float(bool(_FORMAT.match(text)) and text.count("<think>") == 1 and text.count("<answer>") == 1)


class ReleasedAccuracy:
    """Their accuracy: the whole response, every answer type treated as mathematics. Arguments as `VerifierPool`.

    Every response goes through math_verify, so each distinct one costs some milliseconds.
    """

    def __init__(self, workers: int = 2, timeout: float = 10.0, memory_gib: float = 2.0) -> None:
        # Whole responses are long and seldom repeat.
        self.pool = VerifierPool(workers, timeout, memory_gib, cache_size=4096)

    def judge(self, items: Sequence[tuple[Problem, Completion]]) -> list[Verdict]:
        """One verdict for each item, in order."""
        claims = [Claim(problem.answer, completion.text.strip(), "math") for problem, completion in items]
        return self.pool.judge(judge_released, claims)

    def statistics(self) -> dict[str, float]:
        """What all batches so far took: `VerifierPool.statistics`."""
        return self.pool.statistics

    def close(self) -> None:
        self.pool.close()


def judge_released(claim: Claim) -> Verdict:
    """Their verdict. A gold that does not parse makes every response right, with the reason `"unparsable"`.

    Such golds are dropped when a data set is loaded (`audit.verify_golds`), so no run trains on that.
    """
    verdict = within_limits(lambda: _released_reason(claim.gold, claim.answer))
    return Verdict(True, "unparsable", verdict.seconds) if verdict.reason == "unparsable" else verdict


def _released_reason(gold: str, response: str) -> str:
    from latex2sympy2_extended import NormalizationConfig
    from math_verify import LatexExtractionConfig, parse, verify

    logging.getLogger("math_verify").setLevel(logging.ERROR)
    gold = gold.strip()
    gold_parsed = parse(
        gold if gold.startswith("$") else f"${gold}$",
        extraction_mode="first_match",
        extraction_config=[LatexExtractionConfig()],
        parsing_timeout=None,
    )
    if not gold_parsed:
        return "unparsable"
    normalization = NormalizationConfig(
        nits=False, malformed_operators=False, basic_latex=True, equations=True, boxed=True, units=True
    )
    answer_parsed = parse(
        response,
        extraction_mode="first_match",
        extraction_config=[
            LatexExtractionConfig(
                normalization_config=normalization,
                boxed_match_priority=0,
                try_extract_without_anchor=False,
            )
        ],
        parsing_timeout=None,
    )
    return "ok" if verify(answer_parsed, gold_parsed, timeout_seconds=None) else "wrong"
