"""What a device can do: operations a second, bytes a second, bytes of memory."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Device:
    """Nominal for a GPU, measured for a CPU."""

    name: str
    type: str
    """Torch's type of device."""
    flops: Mapping[str, float]
    """Operations a second by dtype, in dense products of matrices."""
    bandwidth: float
    """Bytes a second from and to its memory."""
    memory: float
    """Bytes."""


# NVIDIA's data sheets of the SXM versions: bfloat16 on tensor cores without sparsity, float32 without tensor cores
# (torch's default, which does not round to TF32).
# https://www.nvidia.com/en-us/data-center/h200/, /h100/, /a100/, /l40s/
GPUS: Mapping[str, Device] = {
    "h200": Device("H200", "cuda", {"bfloat16": 989e12, "float32": 67e12}, 4.8e12, 141e9),
    "h100": Device("H100", "cuda", {"bfloat16": 989e12, "float32": 67e12}, 3.35e12, 80e9),
    "a100": Device("A100", "cuda", {"bfloat16": 312e12, "float32": 19.5e12}, 2.039e12, 80e9),
    "l40s": Device("L40S", "cuda", {"bfloat16": 362e12, "float32": 91.6e12}, 0.864e12, 48e9),
}

MATRIX = 512
"""Side of the matrices that a CPU is measured with: some milliseconds of work."""
COPIED_BYTES = 64 * 2**20
REPETITIONS = 5


def this_gpu() -> Device | None:
    """The GPU of this process, by its name; None where there is none or it is not in the table."""
    if not torch.cuda.is_available():
        return None
    name = torch.cuda.get_device_name().lower()
    return next((device for key, device in GPUS.items() if key in name), None)


def this_cpu(dtypes: Iterable[str]) -> Device:
    """This machine's processors with torch's threads as they are: the best of a few short products and copies.

    Args:
        dtypes: of the products to measure, `float32` or `bfloat16`; some processors take seconds for the latter.
    """
    source = torch.ones(COPIED_BYTES // 4)
    target = torch.empty_like(source)
    flops = {name: 2 * MATRIX**3 / _shortest(_product(getattr(torch, name))) for name in sorted(set(dtypes))}
    bandwidth = 2 * COPIED_BYTES / _shortest(lambda: target.copy_(source))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Device(f"CPU, {torch.get_num_threads()} thread(s)", "cpu", flops, bandwidth, memory)


def _product(dtype: torch.dtype) -> Callable[[], object]:
    matrix = torch.ones(MATRIX, MATRIX, dtype=dtype)
    return lambda: matrix @ matrix


def _shortest(work: Callable[[], object]) -> float:
    """Seconds of the fastest of some runs, after one that does not count."""
    work()
    seconds = []
    for _ in range(REPETITIONS):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
