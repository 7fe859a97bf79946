"""Environment variables that must be set before torch, transformers or vLLM are imported."""

from __future__ import annotations

import os

DEFAULTS = {
    # OpenMP threads that spin while they wait slow a machine with other work on it many times over.
    "OMP_WAIT_POLICY": "PASSIVE",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "VLLM_NO_USAGE_STATS": "1",
    # Hydra cuts tracebacks by default and drops the causes of an exception.
    "HYDRA_FULL_ERROR": "1",
}


def prepare_environment() -> None:
    """Set what is not set yet; what the user set stays."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
