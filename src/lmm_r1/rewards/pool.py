"""Verification in worker processes that can be killed."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
import weakref
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, wait
from concurrent.futures.process import BrokenProcessPool

from pebble import ProcessExpired, ProcessPool

from lmm_r1.rewards.verify import Claim, Verdict, judge_claim
from lmm_r1.rewards.worker import WorkerContext, judge_once, prepare_worker

log = logging.getLogger(__name__)

_START_SECONDS = 120.0
_STUCK_SECONDS = 60.0
_STALLED_SECONDS = 300.0
_LOOK_SECONDS = 1.0
_COUNTED = ("claims", "repeated", "cache_hits", "judged", "timeouts", "killed", "restarts")


class VerifierPool:
    """A few processes that judge claims; one that overruns is killed and replaced.

    Started by the first claim that reaches it, so a batch that is settled before costs nothing. Workers are spawned,
    never forked: forking after CUDA or vLLM has started breaks both. They import neither torch nor the main script.
    Safe to use from any thread, and anew in a process that was forked. The workers end with `close`, with the pool
    itself, with the interpreter, or with the process, however that ends; one that is inside C when the process is
    killed, once its claim has used up its time.

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
        self._counts: Counter[str] = Counter()
        self._seconds = 0.0
        self._pool: ProcessPool | None = None
        self._stop: weakref.finalize | None = None
        self._owner = os.getpid()
        self._last_answer = _LastAnswer()
        self._lock = threading.RLock()

    @property
    def started(self) -> bool:
        return self._pool is not None

    @property
    def statistics(self) -> dict[str, float]:
        """Counts since the pool was made, and `seconds`, the wall clock spent in `judge`.

        `claims` were asked for. Of these `repeated` stood in the same batch already and `cache_hits` in an earlier one;
        `judged` went to a worker, where `timeouts` ran out of time and `killed` out of memory or down with the worker.
        `restarts` counts how often the workers had to be started again because one died without a claim.
        """
        with self._lock:
            return {**{name: self._counts[name] for name in _COUNTED}, "seconds": self._seconds}

    def judge(self, verifier: Callable[[Claim], Verdict], claims: Sequence[Claim]) -> list[Verdict]:
        """One verdict for each claim, in order; equal claims are judged once.

        `verifier` is a function of a module (it travels by name). A claim that runs out of time is `"timeout"`; one
        that takes its worker down or out of memory is `"killed"`; whatever else goes wrong raises.
        """
        start = time.perf_counter()
        distinct = list(dict.fromkeys(claims))
        verdicts = self._remembered(verifier, distinct)
        known = len(verdicts)
        try:
            self._judge_rest(verifier, distinct, verdicts)
        except BaseException:
            self.close()
            raise
        with self._lock:
            self._counts.update(
                claims=len(claims),
                repeated=len(claims) - len(distinct),
                cache_hits=known,
                judged=len(distinct) - known,
            )
            self._seconds += time.perf_counter() - start
        return [verdicts[claim] for claim in claims]

    def close(self) -> None:
        """Stops the workers at once. The pool starts again when it is used again."""
        with self._lock:
            stop, self._stop, self._pool = self._stop, None, None
        if stop is not None:
            stop()

    def __enter__(self) -> VerifierPool:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _judge_rest(
        self, verifier: Callable[[Claim], Verdict], claims: Sequence[Claim], verdicts: dict[Claim, Verdict]
    ) -> None:
        """Adds to `verdicts` what is missing.

        pebble gives up a whole pool when a worker dies between two claims, which happens where memory is short. What
        is unanswered then goes to new workers, once; twice is a fault and raises.
        """
        for last_attempt in (False, True):
            missing = [claim for claim in claims if claim not in verdicts]
            if not missing:
                return
            pool = self._started_pool()
            self._last_answer(None)
            try:
                futures = [self._schedule(pool, verifier, claim) for claim in missing]
                for claim, future in zip(missing, futures, strict=True):
                    verdicts[claim] = self._verdict(pool, claim, future)
                    self._remember(verifier, claim, verdicts[claim])
            except BrokenProcessPool:
                if last_attempt:
                    raise
                self._replace(pool)

    def _schedule(self, pool: ProcessPool, verifier: Callable[[Claim], Verdict], claim: Claim) -> Future:
        try:
            future = pool.schedule(judge_once, args=(verifier, claim, self.timeout), timeout=_STUCK_SECONDS)
        except RuntimeError as error:  # what pebble raises where the pool is no longer active
            raise BrokenProcessPool(str(error)) from error
        future.add_done_callback(self._last_answer)
        return future

    def _verdict(self, pool: ProcessPool, claim: Claim, future: Future) -> Verdict:
        while not wait([future], _LOOK_SECONDS).done:
            if not pool.active:
                raise BrokenProcessPool("the verification workers were stopped before they had answered")
            if time.monotonic() - self._last_answer.time > _STALLED_SECONDS:
                raise RuntimeError(f"the verification workers have not answered for {_STALLED_SECONDS:.0f} seconds")
        try:
            return future.result()
        except TimeoutError:
            verdict = Verdict(False, "timeout", _STUCK_SECONDS)
        except ProcessExpired as expired:
            if expired.exitcode == -signal.SIGXCPU:
                verdict = Verdict(False, "timeout", self.timeout)
            else:
                verdict = Verdict(False, "killed", 0.0)
        with self._lock:
            self._counts["timeouts" if verdict.reason == "timeout" else "killed"] += 1
        log.info("verification: %s on the answer %.120r to the gold %.120r", verdict.reason, claim.answer, claim.gold)
        return verdict

    def _started_pool(self) -> ProcessPool:
        with self._lock:
            if self._owner != os.getpid():  # forked: the workers and their threads stayed with the parent
                self._pool, self._stop, self._owner = None, None, os.getpid()
            if self._pool is None:
                self._start()
            return self._pool

    def _replace(self, broken: ProcessPool) -> None:
        with self._lock:
            if self._pool is None:
                raise RuntimeError("the verifier pool was closed while it judged")
            if self._pool is broken:
                self.close()
                self._start()
                self._counts["restarts"] += 1

    def _start(self) -> None:
        pool = ProcessPool(
            max_workers=self.workers,
            max_tasks=2000,  # sympy's caches grow
            initializer=prepare_worker,
            initargs=(self.memory_gib,),
            context=WorkerContext(),
        )
        # A finalizer runs before the exit handlers of multiprocessing, which would wait for the workers for ever.
        stop = weakref.finalize(self, _stop, pool, os.getpid())
        try:
            _try_out(pool)
        except BaseException:
            stop()
            raise
        self._pool, self._stop = pool, stop

    def _remembered(self, verifier: Callable, claims: Iterable[Claim]) -> dict[Claim, Verdict]:
        with self._lock:
            verdicts = {claim: self._cache[verifier, claim] for claim in claims if (verifier, claim) in self._cache}
            for claim in verdicts:
                self._cache.move_to_end((verifier, claim))
        return verdicts

    def _remember(self, verifier: Callable, claim: Claim, verdict: Verdict) -> None:
        if verdict.reason in ("timeout", "killed"):
            return
        with self._lock:
            self._cache[verifier, claim] = verdict
            while len(self._cache) > self.cache_size:
                self._cache.popitem(last=False)


class _LastAnswer:
    """When a worker last answered. Apart from the pool, so that a future in flight does not keep the pool alive."""

    time = 0.0

    def __call__(self, future: Future | None) -> None:
        self.time = time.monotonic()


def _try_out(pool: ProcessPool) -> None:
    """Raises unless a worker judges: a pool that cannot would call every answer wrong, and training would go on."""
    trial = Claim(r"$\frac{1}{2}$", "0.5", "math")
    future = pool.schedule(judge_claim, args=(trial,))
    if not wait([future], _START_SECONDS).done:
        raise RuntimeError(f"the verification workers did not start within {_START_SECONDS:.0f} seconds")
    try:
        verdict = future.result()
    except BrokenProcessPool as error:
        raise RuntimeError(
            "the verification workers die as they start; is reward.accuracy.memory_gib enough?"
        ) from error
    if not verdict.correct:
        raise RuntimeError(f"the verification workers do not work: {verdict} for {trial}")


def _stop(pool: ProcessPool, owner: int) -> None:
    if os.getpid() == owner:
        pool.stop()
        pool.join()
