"""What a verification may use up: processor time here, memory in a worker."""

from __future__ import annotations

import math
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

_LIMITED_CLOCK = -8
"""Linux's number of the clock that its limit of processor time reads, for the process itself (CPUCLOCK_PROF in the
kernel's posix-timers.h). `time.process_time` reads another one: this one is counted in ticks of some milliseconds, and
the two drift apart by seconds in a long life on a busy machine."""


class OutOfTime(BaseException):
    """The processor time is spent. Not an `Exception`, so that the broad handlers inside libraries let it through."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raises `OutOfTime` once the process has used `seconds` of processor time inside the block.

    Processor time, so that a busy machine does not change a verdict. It interrupts Python code only: one long operation
    inside C goes on, until `processor_limit` ends the worker. Works on the main thread only (it is a signal); SIGPROF
    leaves the SIGALRM of other tools alone.
    """

    def expire(signal_number: int, frame: object) -> None:
        raise OutOfTime

    previous = signal.signal(signal.SIGPROF, expire)
    # Repeated, in case a bare `except:` somewhere below swallows the first one.
    signal.setitimer(signal.ITIMER_PROF, seconds, 0.5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)


def limit_memory(gibibytes: float) -> None:
    """Limits this process's address space: an allocation beyond it becomes a `MemoryError`. For workers only."""
    size = int(gibibytes * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@contextmanager
def processor_limit(seconds: float) -> Iterator[None]:
    """Has the kernel end this process with SIGXCPU after `seconds` of processor time inside. For workers only.

    Nothing a library does can catch or delay it, and a busy machine does not bring it forward. Rounded up to whole
    seconds. Lifted at the end, so that a worker is never ended while it holds a lock of the pool's queue.
    """
    previous, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.clock_gettime(_LIMITED_CLOCK) + seconds), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CPU, (previous, hard))
