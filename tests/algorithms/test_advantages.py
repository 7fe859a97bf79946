"""Laws of the advantages."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmm_r1.algorithms.advantages import group_centred, group_normalised, leave_one_out, zero_variance

REWARDS = st.lists(
    st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0, 1.5]), min_size=4, max_size=4), min_size=1, max_size=5
).map(torch.tensor)
EVERY = pytest.mark.parametrize(
    "advantage", [lambda r: group_normalised(r, eps=1e-4), group_centred, leave_one_out], ids=["std", "mean", "rloo"]
)


@EVERY
@given(rewards=REWARDS)
def test_advantages_of_a_group_sum_to_zero(advantage, rewards):
    assert advantage(rewards).sum(dim=1).abs().max() < 1e-5


@EVERY
def test_a_group_without_variance_gets_exactly_zero(advantage):
    # The mean of these is not exactly 0.1 in float32: rounding must not become an advantage.
    rewards = torch.full((2, 7), 0.1)
    assert torch.equal(advantage(rewards), torch.zeros(2, 7))


@EVERY
@given(rewards=REWARDS)
def test_a_group_does_not_depend_on_its_neighbours(advantage, rewards):
    together = advantage(rewards)
    alone = torch.cat([advantage(group[None]) for group in rewards])
    assert torch.allclose(together, alone, atol=1e-6)


@given(rewards=REWARDS, scale=st.sampled_from([0.5, 2.0, 10.0]), shift=st.sampled_from([-1.0, 3.0]))
def test_normalised_advantages_ignore_scale_and_shift(rewards, scale, shift):
    before = group_normalised(rewards, eps=0.0)
    after = group_normalised(rewards * scale + shift, eps=0.0)
    assert torch.allclose(before, after, atol=1e-4)


def test_normalised_advantages_use_the_unbiased_deviation():
    advantages = group_normalised(torch.tensor([[1.0, 0.0, 0.0, 0.0]]), eps=0.0)
    assert torch.allclose(advantages, torch.tensor([[1.5, -0.5, -0.5, -0.5]]))


def test_leave_one_out_compares_with_the_others():
    advantages = leave_one_out(torch.tensor([[1.0, 0.0, 0.5]]))
    assert torch.allclose(advantages, torch.tensor([[0.75, -0.75, 0.0]]))


def test_zero_variance_means_exactly_equal():
    rewards = torch.tensor([[1.0, 1.0], [1.0, 1.0 + 1e-6], [0.0, 1.0]])
    assert zero_variance(rewards).tolist() == [True, False, False]


def test_a_group_of_one_is_refused():
    with pytest.raises(ValueError, match="G >= 2"):
        group_normalised(torch.zeros(3, 1), eps=1e-4)
