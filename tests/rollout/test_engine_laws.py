"""What every engine that samples must keep; each law runs on both."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from transformers import GenerationConfig

from lmm_r1.errors import UserError
from lmm_r1.models.loading import merged_state_dict
from lmm_r1.models.logprobs import completion_statistics
from lmm_r1.models.prompts import banned_token_ids, render_prompt
from lmm_r1.rollout.engine import RolloutEngine
from lmm_r1.rollout.transformers_engine import TransformersEngine
from lmm_r1.rollout.vllm_engine import VLLMEngine
from lmm_r1.types import Group, Problem, Sampling

SYSTEM = "Think first."
SEEDS = [0, 4096, 8192]
MAX_MODEL_LEN = 128
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
"""As in `model_runner_v2.py`, where every token takes its time."""
SAMPLING = Sampling(samples=2 if INTERPRETED else 4, temperature=0.8, max_new_tokens=6 if INTERPRETED else 40)


@pytest.fixture(scope="module", params=[pytest.param("vllm", marks=pytest.mark.slow), "transformers"])
def engine(request, tiny_folder, processor) -> Iterator[RolloutEngine]:
    settings = {
        "dtype": "float32",
        "system_prompt": SYSTEM,
        "min_pixels": None,
        "max_pixels": processor.image_processor.size.longest_edge,
        "max_model_len": MAX_MODEL_LEN,
    }
    if request.param == "vllm":
        engine = VLLMEngine(
            str(tiny_folder),
            **settings,
            max_num_seqs=64,
            max_images=2,
            enforce_eager=True,
            gpu_memory_utilization=0.1,
            kv_cache_gib=0.125,
        )
    else:
        engine = TransformersEngine(str(tiny_folder), **settings, max_num_seqs=10)
    yield engine
    engine.close()
    engine.close()


def perturb(policy: torch.nn.Module) -> None:
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(7)
        for parameter in policy.parameters():
            parameter += 0.02 * torch.randn_like(parameter)


def inputs_of(processor, problem: Problem):
    """What the trainer feeds the model."""
    text = render_prompt(processor, problem, SYSTEM)
    return processor(text=[text], images=list(problem.images) or None, return_tensors="pt")


def trainer_logprobs(policy, processor, group: Group, temperature: float) -> list[torch.Tensor]:
    inputs = inputs_of(processor, group.problem)
    found = []
    for completion in group.completions:
        token_ids = torch.tensor([completion.token_ids])
        with torch.no_grad():
            statistics = completion_statistics(
                policy,
                [torch.tensor(group.prompt_ids)],
                token_ids,
                torch.ones_like(token_ids, dtype=torch.bool),
                inputs.get("pixel_values"),
                inputs.get("image_grid_thw"),
                temperature=temperature,
                banned=torch.tensor(banned_token_ids(processor, policy.config)),
            )
        found.append(statistics.logprobs[0])
    return found


def test_engine_and_trainer_agree_before_and_after_an_update(engine, policy, processor, problems) -> None:
    for version in (0, 1):
        engine.load_weights(merged_state_dict(policy), version)
        for group in engine.generate(problems, SAMPLING, SEEDS):
            expected = trainer_logprobs(policy, processor, group, SAMPLING.temperature)
            for completion, logprobs in zip(group.completions, expected, strict=True):
                torch.testing.assert_close(torch.tensor(completion.logprobs), logprobs, rtol=0, atol=1e-3)
        perturb(policy)


def test_weights_in_other_numbers_are_sampled_with_in_the_engine_s_own(engine, policy, processor, problems) -> None:
    coarse = {name: weight.bfloat16() for name, weight in merged_state_dict(policy).items()}
    engine.load_weights(coarse, 0)
    policy.load_state_dict(coarse)
    for group in engine.generate(problems, SAMPLING, SEEDS):
        expected = trainer_logprobs(policy, processor, group, SAMPLING.temperature)
        for completion, logprobs in zip(group.completions, expected, strict=True):
            torch.testing.assert_close(torch.tensor(completion.logprobs), logprobs, rtol=0, atol=1e-3)


def test_an_update_changes_what_is_sampled(engine, policy, problems) -> None:
    engine.load_weights(merged_state_dict(policy), 0)
    before = engine.generate(problems, SAMPLING, SEEDS)
    perturb(policy)
    engine.load_weights(merged_state_dict(policy), 1)
    after = engine.generate(problems, SAMPLING, SEEDS)
    for old, new in zip(before, after, strict=True):
        assert old.completions[0].token_ids != new.completions[0].token_ids


def test_each_group_is_handed_over_once_when_it_is_complete(engine, problems) -> None:
    handed = []

    def complete(group: Group) -> None:
        handed.append(group)
        assert len(group.completions) == SAMPLING.samples and group.prompt_ids

    groups = engine.generate(problems, SAMPLING, SEEDS, complete)
    assert sorted(map(id, handed)) == sorted(map(id, groups))
    assert groups == engine.generate(problems, SAMPLING, SEEDS)


def test_a_call_that_failed_leaves_nothing_behind(engine, problems) -> None:
    """More than are sampled at a time, so that most are still to come when the first is complete."""
    short = Sampling(samples=4, temperature=0.8, max_new_tokens=4)
    expected = engine.generate(problems, short, SEEDS)

    def complete(group: Group) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        engine.generate(problems * 8, short, range(0, 24 * 4096, 4096), complete)
    assert engine.generate(problems, short, SEEDS) == expected


def test_the_prompt_is_what_the_processor_makes_of_it(engine, processor, problems) -> None:
    for group in engine.generate(problems, SAMPLING, SEEDS):
        assert list(group.prompt_ids) == inputs_of(processor, group.problem)["input_ids"][0].tolist()


def test_every_completion_carries_the_version_that_was_loaded_last(engine, policy, problems) -> None:
    for version in (3, 12):
        engine.load_weights(merged_state_dict(policy), version)
        groups = engine.generate(problems, SAMPLING, SEEDS)
        assert {completion.weight_version for group in groups for completion in group.completions} == {version}


def test_a_completion_ends_with_an_end_token_or_at_its_budget(engine, policy, processor, tiny_folder, problems) -> None:
    engine.load_weights(merged_state_dict(policy), 0)
    completions = [
        one for group in engine.generate(problems * 4, SAMPLING, range(0, 12 * 4096, 4096)) for one in group.completions
    ]
    ends = {processor.tokenizer.eos_token_id, *GenerationConfig.from_pretrained(tiny_folder).eos_token_id}
    assert len(ends) == 2
    for completion in completions:
        assert len(completion.token_ids) == len(completion.logprobs)
        assert not ends & set(completion.token_ids[:-1])
        assert (completion.token_ids[-1] in ends) == (completion.finish_reason == "stop")
        assert completion.truncated == (completion.finish_reason == "length")
        assert not completion.truncated or len(completion.token_ids) == SAMPLING.max_new_tokens
        assert completion.text == processor.tokenizer.decode(completion.token_ids, skip_special_tokens=True)
    assert {completion.token_ids[-1] for completion in completions} >= ends
    assert {completion.finish_reason for completion in completions} == {"stop", "length"}


def test_banned_tokens_are_never_sampled_even_when_the_weights_want_them(engine, policy, processor, problems) -> None:
    banned = list(banned_token_ids(processor, policy.config))
    rows = policy.get_input_embeddings().weight
    with torch.no_grad():
        # Opposite rows in the tied head: whatever the hidden state, half of the banned tokens beat all others by far.
        direction = rows[0].clone()
        rows[banned[0::2]], rows[banned[1::2]] = 1e4 * direction, -1e4 * direction
        assert policy(**inputs_of(processor, problems[0])).logits[0, -1].argmax() in banned
    engine.load_weights(merged_state_dict(policy), 0)
    for sampling in (SAMPLING, Sampling(samples=1, temperature=0.0, max_new_tokens=SAMPLING.max_new_tokens)):
        (group,) = engine.generate(problems[:1], sampling, SEEDS[:1])
        for completion in group.completions:
            assert not set(completion.token_ids) & set(banned)
            assert all(np.isfinite(completion.logprobs))


def test_an_answer_depends_on_nothing_that_was_asked_before(engine, policy, problems) -> None:
    engine.load_weights(merged_state_dict(policy), 0)
    first = engine.generate(problems, SAMPLING, SEEDS)
    engine.generate(problems[::-1], Sampling(2, 1.0, 8), [5, 6, 7])
    assert [group.completions for group in engine.generate(problems, SAMPLING, SEEDS)] == [
        group.completions for group in first
    ]


def test_completion_i_is_drawn_with_the_seed_plus_i(engine, policy, problems) -> None:
    engine.load_weights(merged_state_dict(policy), 0)
    (group,) = engine.generate(problems[:1], SAMPLING, [4096])
    alone = Sampling(1, SAMPLING.temperature, SAMPLING.max_new_tokens)
    singles = engine.generate(problems[:1] * SAMPLING.samples, alone, [4096 + i for i in range(SAMPLING.samples)])
    assert [single.completions[0].token_ids for single in singles] == [one.token_ids for one in group.completions]
    assert len({one.token_ids for one in group.completions}) == SAMPLING.samples


def test_the_process_is_left_as_it_was(engine, policy, problems) -> None:
    def state():
        numpy_state = np.random.get_state()[1].tolist()
        return random.getstate(), numpy_state, torch.get_rng_state().tolist(), torch.get_num_threads()

    before = state()
    engine.load_weights(merged_state_dict(policy), 0)
    engine.generate(problems, SAMPLING, SEEDS)
    assert state() == before


def test_a_prompt_that_does_not_fit_is_refused_by_name(engine, problems) -> None:
    long = Problem("long one", "word " * 600, "7")
    with pytest.raises(UserError, match=r"problem long one: .*rollout\.engine\.max_model_len=128"):
        engine.generate([problems[0], long], SAMPLING, SEEDS[:2])


def test_the_length_of_an_image_counts(engine, problems) -> None:
    (group,) = engine.generate(problems[1:2], Sampling(1, 1.0, 1), SEEDS[:1])
    room = MAX_MODEL_LEN - len(group.prompt_ids)
    (fits,) = engine.generate(problems[1:2], Sampling(1, 1.0, room), SEEDS[:1])
    assert fits.prompt_ids == group.prompt_ids
    with pytest.raises(UserError, match="problem one image"):
        engine.generate(problems[1:2], Sampling(1, 1.0, room + 1), SEEDS[:1])
