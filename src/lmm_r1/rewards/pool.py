"""Verification in worker processes that can be killed."""

from __future__ import annotations

import importlib.machinery
import os
import signal
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from multiprocessing import connection, context, parent_process
from unittest import mock

from pebble import ProcessExpired, ProcessPool

from lmm_r1.rewards.limits import limit_memory, limit_processor
from lmm_r1.rewards.verify import Claim, Verdict, judge_claim

_STARTING = threading.Lock()
_START_SECONDS = 120.0
_STUCK_SECONDS = 60.0


class VerifierPool:
    """A few processes that judge claims; one that overruns is killed and replaced.

    Started by the first claim that reaches it, so a batch that is settled before costs nothing. Workers are spawned,
    never forked: forking after CUDA or vLLM has started breaks both. They import neither torch nor the main script.
    Safe to use from any thread.

    `timeout` is seconds of processor time for each claim (so that a machine busy with sampling does not turn right
    answers into timeouts), `memory_gib` the address space of a worker, `cache_size` the number of verdicts remembered.
    A worker that is neither done nor dead after a minute of wall clock is killed all the same. Timeouts and kills are
    not remembered: they depend on the machine.
    """

    def __init__(
        self, workers: int = 2, timeout: float = 5.0, memory_gib: float = 2.0, cache_size: int = 65536
    ) -> None:
        self.workers = workers
        self.timeout = timeout
        self.memory_gib = memory_gib
        self.cache_size = cache_size
        self._cache: OrderedDict[tuple[Callable, Claim], Verdict] = OrderedDict()
        self._pool: ProcessPool | None = None
        self._lock = threading.Lock()

    @property
    def started(self) -> bool:
        return self._pool is not None

    def judge(self, verifier: Callable[[Claim], Verdict], claims: Sequence[Claim]) -> list[Verdict]:
        """One verdict for each claim, in order; equal claims are judged once.

        `verifier` is a function of a module (it travels by name). A claim that runs out of time is `"timeout"`; one
        that takes its worker down or out of memory is `"killed"`; whatever else goes wrong raises.
        """
        distinct = list(dict.fromkeys(claims))
        verdicts = {claim: self._remembered(verifier, claim) for claim in distinct}
        unknown = [claim for claim in distinct if verdicts[claim] is None]
        if unknown:
            pool = self._started_pool()
            futures = []
            try:
                futures = [
                    pool.schedule(_judge, args=(verifier, claim, self.timeout), timeout=_STUCK_SECONDS)
                    for claim in unknown
                ]
                for claim, future in zip(unknown, futures, strict=True):
                    verdicts[claim] = self._collect(future)
                    self._remember(verifier, claim, verdicts[claim])
            except BaseException:
                self.close()
                raise
        return [verdicts[claim] for claim in claims]

    def close(self) -> None:
        """Stops the workers at once. The pool starts again when it is used again."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.stop()
            pool.join()

    def __enter__(self) -> VerifierPool:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _collect(self, future: object) -> Verdict:
        try:
            return future.result()
        except TimeoutError:
            return Verdict(False, "timeout", _STUCK_SECONDS)
        except MemoryError:
            return Verdict(False, "killed", 0.0)
        except ProcessExpired as expired:
            if expired.exitcode == -signal.SIGXCPU:
                return Verdict(False, "timeout", self.timeout)
            return Verdict(False, "killed", 0.0)

    def _started_pool(self) -> ProcessPool:
        with self._lock:
            if self._pool is None:
                self._pool = self._start()
            return self._pool

    def _start(self) -> ProcessPool:
        pool = ProcessPool(
            max_workers=self.workers,
            max_tasks=2000,  # sympy's caches grow
            initializer=_prepare_worker,
            initargs=(self.memory_gib,),
            context=_SpawnContext(),
        )
        try:
            # A pool that cannot judge this would call every answer wrong, and training would go on.
            trial = Claim(r"$\frac{1}{2}$", "0.5", "math")
            verdict = pool.schedule(judge_claim, args=(trial,)).result(timeout=_START_SECONDS)
            if not verdict.correct:
                raise RuntimeError(f"the verification workers do not work: {verdict} for {trial}")
        except BaseException:
            pool.stop()
            pool.join()
            raise
        return pool

    def _remembered(self, verifier: Callable, claim: Claim) -> Verdict | None:
        with self._lock:
            verdict = self._cache.get((verifier, claim))
            if verdict is not None:
                self._cache.move_to_end((verifier, claim))
            return verdict

    def _remember(self, verifier: Callable, claim: Claim, verdict: Verdict) -> None:
        if verdict.reason in ("timeout", "killed"):
            return
        with self._lock:
            self._cache[verifier, claim] = verdict
            while len(self._cache) > self.cache_size:
                self._cache.popitem(last=False)


def _judge(verifier: Callable[[Claim], Verdict], claim: Claim, timeout: float) -> Verdict:
    limit_processor(timeout)
    return verifier(claim)


def _prepare_worker(memory_gib: float) -> None:
    # pebble installs a Python handler for SIGTERM, which waits for a C operation to end; the default kills at once.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    limit_memory(memory_gib)
    import math_verify  # noqa: F401  # so that the first claim does not pay for it


def _exit_with_parent() -> None:
    connection.wait([parent_process().sentinel])
    os._exit(1)


class _SpawnedWorker(context.SpawnProcess):
    """A spawned process that does not import the parent's main script, which may import torch and more.

    `multiprocessing` leaves a main module out when its name ends in `__main__`, as for `python -m package`; for the
    moment of the start it is given such a name.
    """

    @staticmethod
    def _Popen(process: context.SpawnProcess) -> object:
        named = importlib.machinery.ModuleSpec("lmm_r1.__main__", loader=None)
        with _STARTING, mock.patch.object(sys.modules["__main__"], "__spec__", named):
            return context.SpawnProcess._Popen(process)


class _SpawnContext(context.SpawnContext):
    Process = _SpawnedWorker
