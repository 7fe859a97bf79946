"""What has to be said before vLLM is imported, and what has to be undone after it is closed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import torch

from lmm_r1.errors import UserError
from lmm_r1.rollout.isolation import exported


def import_vllm() -> ModuleType:
    """Import vLLM for use inside this process, quietly.

    Raises `UserError` where it is not installed, and `RuntimeError` while another engine is open.
    """
    # In process: the trainer's tensors are handed over without a copy between processes.
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    try:
        import vllm
    except ModuleNotFoundError as error:
        if error.name != "vllm":
            raise
        raise UserError(
            "rollout=vllm needs vLLM: install requirements.txt (GPU) or requirements-cpu.txt (CPU), "
            "or choose rollout=transformers, which is slower and needs neither"
        ) from error
    _register_model_class(vllm)
    _check_alone()
    return vllm


def _register_model_class(vllm: ModuleType) -> None:
    """Give vLLM the model class itself.

    By name, vLLM would inspect the class in a subprocess, where nobody has made a torchvision of another build
    importable (`models.torchvision_compat`), and where importing vLLM once more would take seconds.
    """
    from vllm.model_executor.models.qwen2_5_vl import Qwen2_5_VLForConditionalGeneration

    vllm.ModelRegistry.register_model("Qwen2_5_VLForConditionalGeneration", Qwen2_5_VLForConditionalGeneration)


def _check_alone() -> None:
    from vllm.distributed.parallel_state import model_parallel_is_initialized

    if model_parallel_is_initialized():
        raise RuntimeError("a process can hold one vLLM engine: close() the first before building another")


@contextmanager
def one_engine_a_rank() -> Iterator[str]:
    """Yield the executor with which each rank of a distributed trainer builds a whole engine of its own.

    With several processes that is vLLM's external launcher, which joins the trainer's process group and looks for
    its rank in variables that torchrun sets and Lightning's launcher does not. All ranks must build together.
    """
    if not torch.distributed.is_initialized() or torch.distributed.get_world_size() == 1:
        yield "uni"
        return
    rank = torch.distributed.get_rank()
    with exported(RANK=str(rank), LOCAL_RANK=os.environ.get("LOCAL_RANK", "0")):
        yield "external_launcher"


@contextmanager
def kept_process_group(keep: bool) -> Iterator[None]:
    """While an engine shuts down, protect a default process group that is the trainer's: vLLM would destroy it."""
    from vllm.distributed import parallel_state

    destroy = parallel_state.destroy_distributed_environment
    if keep:
        parallel_state.destroy_distributed_environment = lambda: None
    try:
        yield
    finally:
        parallel_state.destroy_distributed_environment = destroy
