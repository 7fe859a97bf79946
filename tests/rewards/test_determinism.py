"""A verdict depends on gold and answer, and on nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lmm_r1.rewards import verify
from lmm_r1.rewards.pool import VerifierPool
from lmm_r1.rewards.verify import Claim, judge_claim

CLAIMS = [
    *(Claim(gold, answer, "math") for gold, answer in [
        ("5", "5"), ("5", "5.0"), ("5", "6"), ("5", "x=5"), ("5", "1=5"), ("5", "hello"), ("5", "5 apples"),
        ("1234", "1{,}234"), (r"\frac12", "0.5"), (r"\frac{1}{3}", "0.333"), (r"\frac{1}{3}", r"0.\overline{3}"),
        ("5/4", "1 1/4"), (r"50\%", "0.5"), ("0.5", r"50\%"), (r"60^\circ", "60"), (r"1.2\times10^{-4}", "0.00012"),
        (r"\sqrt{2}", "sqrt(2)"), (r"\sqrt{2}", "1.41421356"), (r"2\pi", "2*pi"), (r"2\pi", "6.28"),
        ("(x+1)^2", "x^2+2x+1"), ("(x+1)^2", "x^2+1"), (r"3\ln 2", r"\ln 8"), ("x=5", "y=5"), (r"\pm2", "2,-2"),
        (r"\{3,2,1\}", r"\{1,2,3\}"), ("(1,2)", r"\{1,2\}"), ("(2,1)", "(1,2)"), ("[0,1)", "(0,1)"), ("2", "2,3"),
        (r"\mathbb{R}\setminus\{0\}", r"(-\infty,0)\cup(0,\infty)"), (r"12\text{ cm}^2", "12"), ("x^2+1", "y^2+1"),
        (r"5\text{ cm}", r"5\text{ km}"), (r"\frac{1}{2^{99}}", r"\frac{1}{2^{98}}"), ("5", "9^{9^{9^9}}"),
        (r"\sin^2 x+\cos^2 x", "1"), ("a+b+c+d", "d+c+b+a"), (r"\frac{a}{b}+\frac{c}{d}", r"\frac{ad+bc}{bd}"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}1\\2\end{pmatrix}"), ("3+4i", "4i+3"), ("A", "(A)"),
        (r"\{a,b,c\}", r"\{c,a,b\}"), ("5", "{" * 50), (r"1<x<2", "(1,2)"), ("(1,2)", "1<x<2"),
    ]),
    *(Claim(gold, answer, "number") for gold, answer in [("0.5", "1/2"), ("1/3", "0.333"), ("5", "nan")]),
    *(Claim("B", answer, "choice", ("red", "blue", "7")) for answer in ["(B)", "blue", "A", "B. red", "A or B"]),
    *(Claim(gold, answer, "yes_no") for gold, answer in [("no", "No."), ("no", "I do not know"), ("yes", "true")]),
    *(Claim(gold, answer, "text") for gold, answer in [("straße", "STRASSE"), ("blue", "light blue")]),
]  # fmt: skip


def verdict_of(claim: Claim) -> list:
    verdict = verify(claim.gold, claim.answer, claim.answer_type, choices=claim.choices)
    return [verdict.correct, verdict.reason]


@pytest.fixture(scope="module")
def expected() -> list:
    verdicts = [verdict_of(claim) for claim in CLAIMS]
    assert len(verdicts) >= 55
    assert {reason for _, reason in verdicts} == {"ok", "wrong", "unparsable"}
    return verdicts


def test_in_workers_as_without(expected: list) -> None:
    with VerifierPool(workers=2) as pool:
        verdicts = pool.judge(judge_claim, CLAIMS)
        again = pool.judge(judge_claim, CLAIMS[::-1])[::-1]
    assert [[verdict.correct, verdict.reason] for verdict in verdicts] == expected
    assert again == verdicts


def test_the_order_changes_nothing(expected: list) -> None:
    assert [verdict_of(claim) for claim in CLAIMS[::-1]] == expected[::-1]


def test_in_a_thread_as_in_the_main_thread(expected: list) -> None:
    with VerifierPool(workers=1) as pool, ThreadPoolExecutor(1) as thread:
        verdicts = thread.submit(pool.judge, judge_claim, CLAIMS).result()
        # Without a pool each claim that needs algebra starts a process of its own, so only some of them.
        few = thread.submit(lambda: [verdict_of(claim) for claim in CLAIMS[:5]]).result()
    assert [[verdict.correct, verdict.reason] for verdict in verdicts] == expected
    assert few == expected[:5]


SCRIPT = """
import json, sys
from lmm_r1.rewards.pool import VerifierPool
from lmm_r1.rewards.verify import Claim, judge_claim
claims = [Claim(*fields[:3], tuple(fields[3])) for fields in json.load(sys.stdin)]
with VerifierPool(workers=1) as pool:
    verdicts = pool.judge(judge_claim, claims)
json.dump([[verdict.correct, verdict.reason] for verdict in verdicts], sys.stdout)
"""


@pytest.mark.slow
def test_in_processes_side_by_side_under_four_hash_seeds(expected: list) -> None:
    """Two at a time, as two ranks of a training run have a pool each; a worker inherits the seed of its parent."""
    path = os.pathsep.join([str(Path(__file__).parents[2] / "src"), *filter(None, sys.path)])
    for pair in (("0", "1"), ("42", "4294967295")):
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", SCRIPT],
                env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": path},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for seed in pair
        ]
        for process in processes:
            process.stdin.write(json.dumps([claim[:4] for claim in CLAIMS]))
            process.stdin.close()
        for process in processes:
            assert json.loads(process.stdout.read()) == expected
            assert process.wait() == 0
