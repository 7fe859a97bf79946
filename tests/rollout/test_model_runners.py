"""vLLM has two model runners: V1, at work on CPUs, and V2, at work on GPUs. What we hand it must suit both."""

from __future__ import annotations

import sys

import pytest
import torch

import lmm_r1.models  # noqa: F401  (before vLLM, which imports torchvision: it may need mending first)
from lmm_r1.rollout.engine import TEMPERATURES
from lmm_r1.rollout.vllm_banning import banning
from lmm_r1.rollout.vllm_setup import import_vllm
from tests.running import run_afresh

BANNED = (1, 5)


def v1_loads(processor: type) -> None:
    from vllm.v1.sample.logits_processor import validate_logits_processors_parameters

    validate_logits_processors_parameters([processor], import_vllm().SamplingParams())


def v2_loads(processor: type) -> None:
    from vllm.v1.worker.gpu.sample.logits_processor import build_custom_logits_processors_params_validator

    build_custom_logits_processors_params_validator([processor])(import_vllm().SamplingParams())


@pytest.fixture
def logits() -> torch.Tensor:
    return torch.randn(3, 7, generator=torch.Generator().manual_seed(0))


def assert_banned(banned: torch.Tensor, logits: torch.Tensor) -> None:
    assert torch.equal(banned, logits.index_fill(-1, torch.tensor(BANNED), -torch.inf))


def test_model_runner_v1_loads_the_ban_and_applies_it(logits) -> None:
    processor = banning(BANNED)
    v1_loads(processor)
    at_work = processor(None, torch.device("cpu"), False)
    at_work.update_state(None)
    assert not at_work.is_argmax_invariant(), "it would be left out where tokens are taken greedily"
    assert_banned(at_work.apply(logits.clone()), logits)


def test_model_runner_v2_loads_the_ban_and_applies_it(logits) -> None:
    processor = banning(BANNED)
    v2_loads(processor)
    from vllm.v1.worker.gpu.sample.logits_processor import LogitsProcRequestState

    unused = dict.fromkeys(("all_token_ids", "prompt_len", "prefill_len", "total_len"))
    at_work = processor(None, LogitsProcRequestState(torch.device("cpu"), max_num_reqs=4, vocab_size=7, **unused))
    assert at_work.add_request(0, import_vllm().SamplingParams()), "it would be left out at temperatures of 0 and 1"
    at_work.apply_staged_writes()
    assert_banned(at_work.apply(logits.clone(), None), logits)


def test_a_vllm_whose_v2_takes_no_processors_is_given_v1_s(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm.v1.worker.gpu.sample.logits_processor", None)
    v1_loads(banning(BANNED))


@pytest.mark.parametrize("temperature", [0.0, *TEMPERATURES, 0.3])
def test_vllm_keeps_every_temperature_that_engines_accept(temperature) -> None:
    assert import_vllm().SamplingParams(temperature=temperature).temperature == temperature


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="here Model Runner V2 is at work in all tests of the engine")
def test_model_runner_v2_keeps_the_laws_of_an_engine() -> None:
    """Those that its sampler, its caches and its scheduling decide, run by its own code in a process of its own."""
    laws = (
        "engine_and_trainer_agree_before_and_after_an_update",
        "every_completion_carries_the_version_that_was_loaded_last",
        "banned_tokens_are_never_sampled_even_when_the_weights_want_them",
        "an_answer_depends_on_nothing_that_was_asked_before",
        "completion_i_is_drawn_with_the_seed_plus_i",
        "the_process_is_left_as_it_was",
    )
    chosen = [f"tests/rollout/test_engine_laws.py::test_{law}[vllm]" for law in laws]
    run_afresh("-m", "pytest", "-q", "-p", "tests.rollout.model_runner_v2", "-p", "no:cacheprovider", *chosen)
