"""The authors' rule as they released it, its weaknesses included."""

from __future__ import annotations

import pytest

from lmm_r1.rewards.judged import Judged
from lmm_r1.rewards.released import judge_released, released_format
from lmm_r1.rewards.verify import Claim
from lmm_r1.types import Completion, Problem

TABLE = [
    # response, gold, keeps the format, is right
    ("<think>x</think><answer> $2$ </answer>", "$2$", True, True),
    ("<think>x</think>\n<answer> $2$ </answer>", "$2$", False, True),
    ("<think>x</think> <answer> $2$ </answer>", "$2$", False, True),
    # without dollars or a box nothing is found, and that is wrong
    ("<think>x</think><answer> A </answer>", r"$\boxed{A}$", True, False),
    ("<think>x</think><answer> (A) </answer>", r"$\boxed{A}$", True, False),
    ("<think>x</think><answer> $A$ </answer>", r"$\boxed{A}$", True, True),
    ("<think>x</think><answer> 123 </answer>", "$123$", True, False),
    # the whole response is read, and a box wins over dollars wherever it stands
    (r"<think>\boxed{2}</think><answer> $3$ </answer>", "$2$", True, True),
    (r"<think>\boxed{3}</think><answer> $2$ </answer>", "$2$", True, False),
    (r"\boxed{2}", "$2$", False, True),
    # math-verify 0.5.2, which the authors ran, calls this wrong; 0.8.0, which runs here, and 0.9.0 call it right
    ("<think>x</think><answer> $a$ </answer>", r"$\boxed{A}$", True, True),
]


@pytest.mark.parametrize(("response", "gold", "keeps_format", "right"), TABLE)
def test_scores_as_the_released_code_does(response: str, gold: str, keeps_format: bool, right: bool) -> None:
    completion = Completion((1,), (0.0,), response, "stop", 0)
    verdict = judge_released(Claim(gold, response, "math"))
    assert released_format(Judged(Problem("p", "?", gold), completion, verdict, (completion,))) == float(keeps_format)
    assert verdict.correct is right
