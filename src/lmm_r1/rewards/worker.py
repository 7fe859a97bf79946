"""A worker process of the verifier pool: how it starts, what it may use up, how it ends."""

from __future__ import annotations

import importlib.machinery
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing import connection, context, parent_process

from lmm_r1.rewards.limits import limit_memory, processor_limit
from lmm_r1.rewards.verify import Claim, Verdict

_STARTING = threading.Lock()
_WATCH_SECONDS = 1.0
_END = {"timeout": signal.SIGXCPU, "killed": signal.SIGKILL}


def judge_once(verifier: Callable[[Claim], Verdict], claim: Claim, seconds: float) -> Verdict:
    """Judges a claim within `seconds` of processor time; a claim that breaks its limits ends the process.

    A library that was interrupted halfway, by a signal or for want of memory, may be left with half of its state, and
    a later verdict must not depend on that. So the process ends as the kernel would have ended it.
    """
    try:
        with processor_limit(seconds):
            verdict = verifier(claim)
    except MemoryError:
        os.kill(os.getpid(), _END["killed"])
    if verdict.reason in _END:
        os.kill(os.getpid(), _END[verdict.reason])
    return verdict


def prepare_worker(memory_gib: float) -> None:
    """What a worker does first."""
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    limit_memory(memory_gib)
    import math_verify  # noqa: F401  # so that the first claim does not pay for it


def _exit_with_parent() -> None:
    """Ends this process when its parent is gone, however it went.

    The sentinel alone is not enough: another process forked from the parent keeps its other end open.
    """
    parent = parent_process()
    while os.getppid() == parent.pid and not connection.wait([parent.sentinel], _WATCH_SECONDS):
        pass
    os._exit(1)


class WorkerProcess(context.SpawnProcess):
    """A spawned process that signals meant for the trainer do not reach.

    Ctrl-C and a scheduler's SIGTERM go to every process of a job. The trainer finishes its step then, which needs
    workers; so they start with both blocked and are ended by SIGKILL, which also stops an operation inside C at once.

    It does not import the parent's main script either, which may import torch and more. `multiprocessing` leaves a main
    module out when its name ends in `__main__`, as for `python -m package`; for the moment of the start it is given
    such a name.
    """

    def terminate(self) -> None:
        if self._parent_pid == os.getpid():  # not from a process forked from the parent, as it ends
            self.kill()

    @staticmethod
    def _Popen(process: context.SpawnProcess) -> object:
        main = sys.modules["__main__"]
        with _STARTING:
            specification = main.__spec__
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
            main.__spec__ = importlib.machinery.ModuleSpec("lmm_r1.__main__", loader=None)
            try:
                return context.SpawnProcess._Popen(process)
            finally:
                main.__spec__ = specification
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)


class WorkerContext(context.SpawnContext):
    """What makes `pebble` start `WorkerProcess`es."""

    Process = WorkerProcess
