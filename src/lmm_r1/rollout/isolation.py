"""Keeps what a sampler does to its process away from the trainer that shares it."""

from __future__ import annotations

import os
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import numpy
import torch


@contextmanager
def isolated_random_state() -> Iterator[None]:
    """Leave the random state of Python, NumPy and torch, CUDA devices included, as it was.

    vLLM seeds all of them when it is built and draws from torch's generator even for requests with their own seed.
    """
    python_state, numpy_state, torch_state = random.getstate(), numpy.random.get_state(), torch.get_rng_state()
    cuda_states = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    try:
        yield
    finally:
        random.setstate(python_state)
        numpy.random.set_state(numpy_state)
        torch.set_rng_state(torch_state)
        if cuda_states:
            torch.cuda.set_rng_state_all(cuda_states)


@contextmanager
def kept_threads() -> Iterator[None]:
    """Leave torch's thread count, the function that sets it, and the treatment of denormals as they were.

    vLLM's CPU worker replaces `torch.set_num_threads` by a function that does nothing. Denormals are numbers below
    1e-38 that some processors handle a hundred times more slowly; training flushes them to zero.
    """
    set_num_threads, threads, flushes = torch.set_num_threads, torch.get_num_threads(), _flushes_denormals()
    try:
        yield
    finally:
        torch.set_num_threads = set_num_threads
        torch.set_num_threads(threads)
        torch.set_flush_denormal(flushes)


def _flushes_denormals() -> bool:
    # torch can set this but not say it.
    return torch.tensor([1e-310], dtype=torch.float64).mul(0.5).item() == 0.0


@contextmanager
def exported(**variables: str) -> Iterator[None]:
    """Set environment variables for a while."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def silenced_unless_failing() -> Iterator[None]:
    """Hold back everything written to stdout and stderr, compiled libraries' lines included; print it if this raises.

    Works on the file descriptors, because half of a starting engine's chatter comes from C++ and asks no logger.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        originals = [(stream, os.dup(stream)) for stream in (1, 2)]
        for stream, _ in originals:
            os.dup2(held.fileno(), stream)
        failed = True
        try:
            yield
            failed = False
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for stream, original in originals:
                os.dup2(original, stream)
                os.close(original)
            if failed:
                held.seek(0)
                sys.stderr.write(held.read().decode(errors="replace"))
