"""The worker processes: they can be killed, and nothing of ours fails silently."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from lmm_r1.rewards.pool import VerifierPool
from lmm_r1.rewards.verify import Claim, Verdict, judge_claim, within_limits
from tests.running import HANG_SECONDS

# What a worker runs travels by name, so it lives in a module that the worker can import as well.
sys.path.insert(0, str(Path(__file__).parent))
import hostile
from hostile_answers import DEAR
from processes import alive, descendants

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
    hostile_claim = Claim("5", DEAR["powers of tangents"], "math")
    good = [Claim(f"(x+{n})^2", f"x^2+{2 * n}x+{n * n}", "math") for n in range(1, 9)]
    verdicts = pool.judge(judge_claim, [*good[:4], hostile_claim, *good[4:]])
    assert [verdict.reason for verdict in verdicts] == ["ok"] * 4 + ["timeout"] + ["ok"] * 4


def test_a_worker_out_of_memory_is_a_verdict_and_the_pool_lives(pool: VerifierPool) -> None:
    assert pool.judge(hostile.fill_memory, [ALGEBRA])[0].reason == "killed"
    assert pool.judge(judge_claim, [ALGEBRA])[0].correct


def test_running_out_of_memory_in_this_process_is_a_verdict() -> None:
    def judge() -> str:
        raise MemoryError

    assert within_limits(judge).reason == "killed"


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


def test_the_processor_time_is_counted_for_each_claim() -> None:
    """Each claim far below the limit, all together above it: a machine of any speed or load must pass."""
    with VerifierPool(workers=1, timeout=1.0) as pool:
        claims = [ALGEBRA._replace(answer=str(n)) for n in range(round(3 / hostile.MOMENT_SECONDS))]
        assert all(verdict.correct for verdict in pool.judge(hostile.use_a_moment, claims))


def test_an_interrupted_worker_is_not_used_again() -> None:
    with VerifierPool(workers=1) as pool:
        before = pool.judge(hostile.process_id, [ALGEBRA])[0].reason
        assert pool.judge(hostile.run_out_of_time, [ALGEBRA])[0].reason == "timeout"
        assert pool.judge(hostile.process_id, [ALGEBRA._replace(answer="x")])[0].reason != before


def test_signals_to_the_whole_job_do_not_reach_the_workers() -> None:
    with VerifierPool(workers=1) as pool:
        worker = pool.judge(hostile.process_id, [ALGEBRA])[0].reason
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            os.kill(int(worker), signal_number)
        assert pool.judge(hostile.process_id, [ALGEBRA._replace(answer="x")])[0].reason == worker
        assert pool.statistics["restarts"] == 0


def test_a_worker_that_dies_without_a_claim_is_replaced() -> None:
    with VerifierPool(workers=1) as pool:
        os.kill(int(pool.judge(hostile.process_id, [ALGEBRA])[0].reason), signal.SIGKILL)
        time.sleep(0.5)  # pebble looks every tenth of a second
        assert pool.judge(judge_claim, [ALGEBRA])[0].correct
        assert pool.statistics["restarts"] + pool.statistics["killed"] == 1


def test_workers_that_cannot_start_raise() -> None:
    pool = VerifierPool(workers=1, memory_gib=0.03)
    with pytest.raises(RuntimeError, match="memory_gib"):
        pool.judge(judge_claim, [ALGEBRA])
    assert not pool.started


def test_closing_under_a_batch_raises_in_the_thread_that_waits() -> None:
    pool = VerifierPool(workers=1)
    raised: list[BaseException] = []

    def judge() -> None:
        try:
            pool.judge(hostile.slowly, [ALGEBRA._replace(answer=str(n)) for n in range(30)])
        except RuntimeError as error:
            raised.append(error)

    thread = threading.Thread(target=judge)
    thread.start()
    while not pool.started:
        time.sleep(0.1)
    pool.close()
    thread.join(timeout=HANG_SECONDS)
    assert not thread.is_alive()
    assert len(raised) == 1
    assert not pool.started


def test_nobody_waits_for_an_answer_of_a_pool_that_was_closed() -> None:
    """Where a worker is between two claims at that moment, pebble leaves one of them for ever unanswered."""
    pool = VerifierPool(workers=1)
    workers = pool._started_pool()
    pool.close()
    with pytest.raises(BrokenProcessPool):
        pool._verdict(workers, ALGEBRA, Future())


def test_what_happened_is_counted() -> None:
    with VerifierPool(workers=2) as pool:
        pool.judge(judge_claim, [ALGEBRA, ALGEBRA, ALGEBRA._replace(answer="x")])
        pool.judge(judge_claim, [ALGEBRA])
        pool.judge(hostile.run_out_of_time, [ALGEBRA, ALGEBRA])
        pool.judge(hostile.die, [ALGEBRA])
        counts = pool.statistics
    assert counts.pop("seconds") > 0
    assert counts == {
        "claims": 7, "repeated": 2, "cache_hits": 1, "judged": 4, "timeouts": 1, "killed": 1, "restarts": 0,
    }  # fmt: skip


def test_a_timeout_is_not_remembered() -> None:
    with VerifierPool(workers=1) as pool:
        for _ in range(2):
            pool.judge(hostile.run_out_of_time, [ALGEBRA])
        assert (pool.statistics["timeouts"], pool.statistics["cache_hits"]) == (2, 0)


def test_close_leaves_no_process() -> None:
    pool = VerifierPool(workers=2)
    processes = {int(pool.judge(hostile.process_id, [ALGEBRA._replace(answer=str(n))])[0].reason) for n in range(6)}
    pool.close()
    assert not any(alive(process) for process in processes)


def test_a_pool_that_nobody_closed_leaves_no_process() -> None:
    pool = VerifierPool(workers=1)
    worker = int(pool.judge(hostile.process_id, [ALGEBRA])[0].reason)
    del pool
    gc.collect()
    assert not alive(worker)


def assert_gone(processes: set[int]) -> None:
    deadline = time.monotonic() + HANG_SECONDS
    while (left := [process for process in processes if alive(process)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])}


ENDINGS = """
import os, sys, threading
import hostile
from lmm_r1.rewards.pool import VerifierPool
from lmm_r1.rewards.verify import Claim, judge_claim

pool = VerifierPool(workers=2, timeout=1.0)
pool.judge(judge_claim, [Claim("(x+1)^2", "x^2+2x+1", "math")])
print("started", flush=True)
long = [Claim("x", "y" * 50_000 + str(n), "math") for n in range(2000)]
work = {{
    "idle": lambda: None,
    "busy": lambda: pool.judge(hostile.never_end, [Claim("x", str(n), "math") for n in range(2)]),
    "full": lambda: pool.judge(hostile.slowly, long),
}}[{work!r}]
if {place!r} == "main":
    work()
else:
    threading.Thread(target=work, daemon=True).start()
sys.stdin.readline()
{ending}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("work", "place", "ending"),
    [
        ("idle", "main", "pass"),
        ("busy", "thread", "raise SystemExit(1)"),
        ("full", "thread", "pass"),
        ("full", "thread", "pool.close()"),
        ("busy", "thread", "os._exit(1)"),
        ("idle", "main", signal.SIGINT),
        ("busy", "main", signal.SIGINT),
        ("full", "main", signal.SIGINT),
        ("busy", "main", signal.SIGTERM),
        ("busy", "main", signal.SIGKILL),
        ("full", "thread", signal.SIGKILL),
    ],
)
def test_no_end_of_the_process_leaves_an_orphan(work: str, place: str, ending: str | signal.Signals) -> None:
    code = ENDINGS.format(work=work, place=place, ending=ending if isinstance(ending, str) else "")
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "started\n", process.stderr.read()
        time.sleep(1.0)
        children = descendants(process.pid)
        if isinstance(ending, str):
            process.stdin.write("\n")
            process.stdin.close()
        elif ending == signal.SIGINT:
            os.killpg(process.pid, ending)  # as a terminal does
        else:
            process.send_signal(ending)
        try:
            process.wait(timeout=HANG_SECONDS)
        finally:
            process.kill()
    assert len(children) >= 2
    assert_gone(children)


FORKED = """
import os
from lmm_r1.rewards.pool import VerifierPool
from lmm_r1.rewards.verify import Claim, judge_claim

def judged(answer):
    return pool.judge(judge_claim, [Claim("(x+1)^2", answer, "math")])[0].correct

pool = VerifierPool(workers=1)
assert judged("x^2+2x+1")
child = os.fork()
if child == 0:
    assert judged("x^2+2*x+1")
    raise SystemExit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert judged("x*x+2x+1")
print(pool.statistics["restarts"])
"""


@pytest.mark.slow
def test_a_forked_process_gets_workers_of_its_own() -> None:
    run = subprocess.run(
        [sys.executable, "-c", FORKED], env=environment(), capture_output=True, text=True, timeout=HANG_SECONDS
    )
    assert (run.returncode, run.stdout) == (0, "0\n"), run.stderr


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
    run = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=HANG_SECONDS
    )
    lines = dict(line.split(" ", 1) for line in run.stdout.splitlines())
    assert (lines["verdict"], lines["heavy"]) == ("ok", "''"), run.stderr
    assert_gone({int(lines["worker"])})
