"""An experience in packed rows: every completion in its place, whatever the split, and nothing left behind."""

from __future__ import annotations

import gc

import pytest
import torch

from lmm_r1.algorithms.advantages import group_normalised
from lmm_r1.models.loading import load_policy
from lmm_r1.models.logprobs import completion_statistics
from lmm_r1.training.collate import collate, rewards_of
from lmm_r1.training.forward import ExperienceForward
from lmm_r1.types import Experience


@pytest.fixture(scope="module")
def experience(make_groups, processor) -> Experience:
    groups = make_groups(4, 3)
    return collate(groups, group_normalised(rewards_of(groups), eps=1e-4), processor)


def forward_of(experience, banned, tokens: int = 10_000) -> ExperienceForward:
    return ExperienceForward(experience, temperature=1.0, banned=torch.tensor(banned), micro_batch_tokens=tokens)


@torch.no_grad()
def separate(policy, experience, banned) -> torch.Tensor:
    """`[N, T]`: every completion scored by itself behind a prompt of its own."""
    rows = []
    for row in range(len(experience)):
        group = int(experience.group_index[row])
        statistics = completion_statistics(
            policy,
            [experience.prompt_ids[group]],
            experience.completion_ids[row, None],
            experience.completion_mask[row, None],
            experience.pixel_values[group],
            experience.image_grid_thw[group],
            temperature=1.0,
            banned=torch.tensor(banned),
        )
        rows.append(statistics.logprobs[0])
    return torch.stack(rows)


@pytest.mark.parametrize("tokens", [10_000, 120, 1])
def test_every_split_gives_each_completion_its_own_log_probabilities(policy, experience, banned, tokens) -> None:
    expected = separate(policy, experience, banned)
    torch.testing.assert_close(forward_of(experience, banned, tokens).logprobs(policy), expected, rtol=1e-5, atol=1e-5)


def test_rows_come_back_in_the_order_asked_for(policy, experience, banned) -> None:
    expected = separate(policy, experience, banned)
    rows = torch.tensor([7, 2, 10, 0, 11, 3])
    statistics = forward_of(experience, banned).statistics(policy, rows, with_entropy=True)
    longest = statistics.logprobs.shape[1]
    assert longest == int(experience.completion_mask[rows].sum(dim=1).max())
    torch.testing.assert_close(statistics.logprobs.detach(), expected[rows, :longest], rtol=1e-5, atol=1e-5)
    assert torch.equal(statistics.entropy > 0, experience.completion_mask[rows, :longest])


def tensors() -> int:
    gc.collect()
    return sum(type(item) is torch.Tensor for item in gc.get_objects())


@pytest.mark.parametrize("freeze_vision", [True, False])
def test_no_image_outlives_its_step(random_model, experience, banned, freeze_vision) -> None:
    policy = load_policy(str(random_model), "float32", freeze_vision=freeze_vision)
    rows, counts = torch.arange(len(experience)), {}
    for step in range(20):
        forward = forward_of(experience, banned)
        forward.logprobs(policy)
        forward.statistics(policy, rows, with_entropy=True).logprobs.sum().backward()
        policy.zero_grad()
        del forward
        if step in (1, 19):
            counts[step] = tensors()
    assert counts[19] == counts[1]


def test_a_frozen_tower_sees_an_image_once_in_all_passes_of_a_step(random_model, experience, banned) -> None:
    policy, seen = load_policy(str(random_model), "float32", freeze_vision=True), []
    policy.model.visual.register_forward_pre_hook(lambda module, args: seen.append(len(args[0])))
    forward = forward_of(experience, banned)
    for _ in range(2):
        forward.logprobs(policy)
        forward.statistics(policy, torch.arange(len(experience)), with_entropy=True).logprobs.sum().backward()
    assert sum(seen) == sum(len(pixels) for pixels in experience.pixel_values if pixels is not None)
