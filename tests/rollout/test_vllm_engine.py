"""What concerns vLLM alone: its place in the process, and several processes."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import pytest
import torch

from lmm_r1.errors import UserError
from lmm_r1.models.loading import merged_state_dict
from lmm_r1.rollout.vllm_engine import VLLMEngine
from lmm_r1.types import Problem, Sampling
from tests.running import start


def build(folder: Path) -> VLLMEngine:
    return VLLMEngine(
        str(folder),
        dtype="float32",
        system_prompt=None,
        min_pixels=None,
        max_pixels=None,
        max_model_len=256,
        max_num_seqs=8,
        max_images=1,
        enforce_eager=True,
        gpu_memory_utilization=0.1,
        kv_cache_gib=0.125,
    )


@pytest.mark.slow
def test_engines_may_follow_each_other_in_a_process_but_not_overlap(tiny_folder, policy, problems) -> None:
    question, sampling = [Problem("one", "What is 3 + 4?", "7")], Sampling(2, 1.0, 8)
    set_num_threads, threads = torch.set_num_threads, torch.get_num_threads()
    answers = []
    for _ in range(2):
        engine = build(tiny_folder)
        assert (torch.set_num_threads, torch.get_num_threads()) == (set_num_threads, threads)
        with pytest.raises(RuntimeError, match="close"):
            build(tiny_folder)
        with pytest.raises(ValueError, match=r"lm_head\.weight"):
            engine.load_weights(dict(policy.named_parameters()), 1)
        engine.load_weights(merged_state_dict(policy), 1)
        answers.append(engine.generate(question, sampling, [0]))
        with pytest.raises(UserError, match=r"problem two images .*rollout\.engine\.max_images=1"):
            engine.generate([problems[2]], sampling, [0])
        engine.close()
    assert answers[0] == answers[1]
    assert not torch.distributed.is_initialized()


def test_a_missing_vllm_is_explained(tiny_folder, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(UserError, match=r"requirements-cpu\.txt.*rollout=transformers"):
        build(tiny_folder)


@pytest.mark.slow
def test_each_of_two_ranks_has_a_whole_engine_and_keeps_the_process_group(tiny_folder) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = str(Path(__file__).with_name("two_ranks.py"))
    started = [start(script, str(rank), str(port), str(tiny_folder)) for rank in range(2)]
    codes, outputs = zip(*(rank.wait() for rank in started), strict=True)
    assert codes == (0, 0), outputs
    first, second = (json.loads(output.splitlines()[-1]) for output in outputs)
    assert first == second
    assert first["total"] == 3
