"""The worker processes: they can be killed, and nothing of ours fails silently."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmm_r1.rewards.pool import VerifierPool
from lmm_r1.rewards.verify import Claim, Verdict, judge_claim

# What a worker runs travels by name, so it lives in a module that the worker can import as well.
sys.path.insert(0, str(Path(__file__).parent))
import hostile

ALGEBRA = Claim("(x+1)^2", "x^2+2x+1", "math")


@pytest.fixture(scope="module")
def pool() -> Iterator[VerifierPool]:
    with VerifierPool(workers=2, timeout=4.0, memory_gib=1.0) as pool:
        yield pool


def test_an_endless_computation_is_killed_and_the_pool_lives(pool: VerifierPool) -> None:
    verdict = pool.judge(hostile.never_end, [ALGEBRA])[0]
    assert verdict == Verdict(False, "timeout", 4.0)
    assert pool.judge(judge_claim, [ALGEBRA])[0].correct


def test_the_others_of_a_batch_are_judged_beside_a_hostile_one(pool: VerifierPool) -> None:
    hostile_claim = Claim("5", r"\binom{10^9}{10^8}", "math")
    good = [Claim(f"(x+{n})^2", f"x^2+{2 * n}x+{n * n}", "math") for n in range(1, 9)]
    verdicts = pool.judge(judge_claim, [*good[:4], hostile_claim, *good[4:]])
    assert [verdict.reason for verdict in verdicts] == ["ok"] * 4 + ["timeout"] + ["ok"] * 4


def test_a_worker_out_of_memory_is_a_verdict_and_the_pool_lives(pool: VerifierPool) -> None:
    assert pool.judge(hostile.fill_memory, [ALGEBRA])[0].reason == "killed"
    assert pool.judge(judge_claim, [ALGEBRA])[0].correct


def test_a_worker_that_dies_is_a_verdict_and_the_pool_lives(pool: VerifierPool) -> None:
    assert pool.judge(hostile.die, [ALGEBRA])[0].reason == "killed"
    assert pool.judge(judge_claim, [ALGEBRA])[0].correct


def test_a_fault_of_ours_raises() -> None:
    with VerifierPool(workers=1) as pool, pytest.raises(ZeroDivisionError):
        pool.judge(hostile.faulty, [ALGEBRA])


def test_workers_import_neither_torch_nor_the_main_script(pool: VerifierPool) -> None:
    import torch  # noqa: F401  # in this process it is there

    assert pool.judge(hostile.heavy_imports, [ALGEBRA])[0].reason == ""


def test_equal_claims_are_judged_once_and_remembered(pool: VerifierPool) -> None:
    first = pool.judge(hostile.stamp, [ALGEBRA, ALGEBRA._replace(answer="x"), ALGEBRA])
    assert first[0].reason == first[2].reason != first[1].reason
    assert pool.judge(hostile.stamp, [ALGEBRA])[0].reason == first[0].reason


def test_the_cache_is_bounded() -> None:
    with VerifierPool(workers=1, cache_size=2) as pool:
        claims = [Claim(f"x+{n}", f"{n}+x", "math") for n in range(5)]
        before = pool.judge(hostile.stamp, claims)
        after = pool.judge(hostile.stamp, claims[3:] + claims[:1])
    assert [verdict.reason for verdict in after[:2]] == [verdict.reason for verdict in before[3:]]
    assert after[2].reason != before[0].reason


def test_works_from_threads(pool: VerifierPool) -> None:
    verdicts: list[Verdict] = []
    claims = [Claim(f"{n}x", f"x+{n - 1}x", "math") for n in range(2, 8)]
    threads = [threading.Thread(target=lambda: verdicts.extend(pool.judge(judge_claim, claims))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [verdict.correct for verdict in verdicts] == [True] * 18


def test_strange_characters_reach_the_worker_and_come_back(pool: VerifierPool) -> None:
    claims = [Claim("x", answer, "math") for answer in ("\x00", "\ud800", "\u202ex", "{" * 500, r"\boxed{" * 70)]
    assert not any(verdict.correct for verdict in pool.judge(judge_claim, claims))


def test_a_batch_without_claims_starts_nothing() -> None:
    pool = VerifierPool()
    assert pool.judge(judge_claim, []) == []
    assert not pool.started


def test_close_leaves_no_process() -> None:
    pool = VerifierPool(workers=2)
    processes = {int(pool.judge(hostile.process_id, [ALGEBRA._replace(answer=str(n))])[0].reason) for n in range(6)}
    pool.close()
    assert not any(_alive(process) for process in processes)


SCRIPT = """
import torch, sys, hydra, time
from lmm_r1.rewards.pool import VerifierPool
from lmm_r1.rewards.verify import Claim, judge_claim
sys.path.insert(0, {folder!r})
import hostile

@hydra.main(version_base="1.3", config_path=None)
def main(config):
    pool = VerifierPool(workers=1)
    claim = Claim("(x+1)^2", "x^2+2x+1", "math")
    print("verdict", pool.judge(judge_claim, [claim])[0].reason)
    print("heavy", repr(pool.judge(hostile.heavy_imports, [claim])[0].reason))
    print("worker", pool.judge(hostile.process_id, [claim])[0].reason, flush=True)
    {ending}

main()  # no guard: a worker that imported this script would run it again
"""


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["raise KeyboardInterrupt", "import os; os.kill(os.getpid(), 9)"])
def test_a_hydra_script_with_torch_works_and_leaves_no_orphan(ending: str, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT.format(folder=str(Path(__file__).parent), ending=ending))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    run = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    lines = dict(line.split(" ", 1) for line in run.stdout.splitlines())
    assert (lines["verdict"], lines["heavy"]) == ("ok", "''"), run.stderr
    deadline = time.monotonic() + 10
    while _alive(int(lines["worker"])) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _alive(int(lines["worker"]))


def _alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
