"""vLLM as it samples on a GPU, on a machine without one: `pytest -p tests.rollout.model_runner_v2 …`.

Where vLLM has Triton it takes Model Runner V2, with a sampler of its own; on a GPU it also plans each step while the
one before is still at work. On a CPU it does neither. Here Triton's interpreter runs V2's own kernels, at 60 ms a
token, and steps are planned as on a GPU. Must be loaded before vLLM is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from types import SimpleNamespace

os.environ["TRITON_INTERPRET"] = "1"
os.environ["VLLM_USE_V2_MODEL_RUNNER"] = "1"

import pytest
from triton.backends import backends

import lmm_r1.models  # noqa: F401  (before vLLM, which imports torchvision: it may need mending first)
from lmm_r1.rollout.vllm_setup import import_vllm

AHEAD: list[bool] = []
"""Whether steps are planned ahead, of each engine that was built."""


def pretend_gpu() -> None:
    # vLLM for CPUs believes in Triton where this backend is there; no kernel asks for it while all are interpreted.
    backends["cpu"] = SimpleNamespace(driver=SimpleNamespace(is_active=lambda: True), compiler=None)
    import_vllm()
    from vllm.config import VllmConfig
    from vllm.platforms.cpu import CpuPlatform

    check = CpuPlatform.check_and_update_config

    def check_and_keep_planning_ahead(config: VllmConfig) -> None:
        AHEAD.append(config.scheduler_config.async_scheduling)
        check(config)
        config.scheduler_config.async_scheduling = AHEAD[-1]

    CpuPlatform.check_and_update_config = staticmethod(check_and_keep_planning_ahead)


pretend_gpu()


@pytest.fixture(scope="session", autouse=True)
def at_work() -> Iterator[None]:
    yield
    assert "vllm.v1.worker.cpu.model_runner" in sys.modules, "vLLM took Model Runner V1"
    assert AHEAD and all(AHEAD), "vLLM waited for each step before it planned the next"
