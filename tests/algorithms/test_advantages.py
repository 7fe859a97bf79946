"""Laws of the advantages."""

from __future__ import annotations

import functools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmm_r1.algorithms.advantages import (
    batch_normalised,
    decoupled_normalised,
    group_centred,
    group_normalised,
    leave_one_out,
    uncentred,
    zero_variance,
)
from tests.algorithms.batches import law, on_processes

REWARDS = st.lists(
    st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0, 1.5]), min_size=4, max_size=4), min_size=1, max_size=5
).map(torch.tensor)
OF_A_GROUP = {"std": functools.partial(group_normalised, eps=1e-4), "mean": group_centred, "rloo": leave_one_out}
OF_A_BATCH = {
    "batch": functools.partial(batch_normalised, eps=1e-4),
    "gdpo": lambda rewards, **reduce: decoupled_normalised(
        torch.stack([rewards, rewards.flip(1)]), torch.tensor([1.0, 0.5]), eps=1e-4, **reduce
    ),
}
EVERY = pytest.mark.parametrize(
    "advantage", [*OF_A_GROUP.values(), *OF_A_BATCH.values()], ids=[*OF_A_GROUP, *OF_A_BATCH]
)
EVERY_OF_A_GROUP = pytest.mark.parametrize("advantage", OF_A_GROUP.values(), ids=OF_A_GROUP)
EVERY_OF_A_BATCH = pytest.mark.parametrize("advantage", OF_A_BATCH.values(), ids=OF_A_BATCH)


@EVERY
@law
@given(rewards=REWARDS)
def test_advantages_of_a_group_sum_to_zero(advantage, rewards):
    assert advantage(rewards).sum(dim=1).abs().max() < 1e-4


@EVERY
def test_a_group_without_variance_gets_exactly_zero(advantage):
    # The mean of these is not exactly 0.1 in float32: rounding must not become an advantage.
    rewards = torch.full((2, 7), 0.1)
    assert torch.equal(advantage(rewards), torch.zeros(2, 7))


@EVERY_OF_A_GROUP
@law
@given(rewards=REWARDS)
def test_a_group_does_not_depend_on_its_neighbours(advantage, rewards):
    together = advantage(rewards)
    alone = torch.cat([advantage(group[None]) for group in rewards])
    assert torch.allclose(together, alone, atol=1e-6)


@law
@given(rewards=REWARDS, scale=st.sampled_from([0.5, 2.0, 10.0]), shift=st.sampled_from([-1.0, 3.0]))
def test_normalised_advantages_ignore_scale_and_shift(rewards, scale, shift):
    before = group_normalised(rewards, eps=0.0)
    after = group_normalised(rewards * scale + shift, eps=0.0)
    assert torch.allclose(before, after, atol=1e-4)


@EVERY
@law
@given(rewards=REWARDS, seed=st.integers(0, 100))
def test_advantages_follow_the_order_of_groups_and_completions(advantage, rewards, seed):
    generator = torch.Generator().manual_seed(seed)
    groups = torch.randperm(len(rewards), generator=generator)
    assert torch.allclose(advantage(rewards)[groups], advantage(rewards[groups]), atol=1e-6)
    if advantage is not OF_A_BATCH["gdpo"]:  # whose second term, here, is the first one backwards
        completions = torch.randperm(4, generator=generator)
        assert torch.allclose(advantage(rewards)[:, completions], advantage(rewards[:, completions]), atol=1e-5)


@EVERY_OF_A_BATCH
@law
@given(rewards=REWARDS, others=REWARDS)
def test_advantages_of_a_batch_do_not_depend_on_the_number_of_processes(advantage, rewards, others):
    together = advantage(torch.cat([rewards, others]))
    apart = torch.cat(on_processes(advantage, (rewards,), (others,)))
    assert torch.allclose(together, apart, rtol=1e-6, atol=0)


@law
@given(rewards=REWARDS, factor=st.sampled_from([0.5, 2.0, 10.0]))
def test_advantages_of_a_batch_ignore_the_scale_of_all_rewards(rewards, factor):
    before = batch_normalised(rewards, eps=0.0).nan_to_num()
    assert torch.allclose(before, batch_normalised(rewards * factor, eps=0.0).nan_to_num(), atol=1e-4)


def test_a_batch_keeps_the_spread_of_its_groups_in_proportion():
    advantages = batch_normalised(torch.tensor([[1.0, 0.0, 1.0, 0.0], [0.1, 0.0, 0.1, 0.0]]), eps=0.0)
    assert torch.allclose(advantages[0], 10 * advantages[1])


def test_decoupled_advantages_tell_apart_what_the_sum_of_terms_does_not():
    # Two completions, two terms: one point against none, and two points against none.
    terms = torch.tensor([[[1.0, 0.0], [1.0, 0.0]], [[0.0, 0.0], [1.0, 0.0]]])
    of_the_sum = group_normalised(terms.sum(dim=0), eps=0.0)
    assert torch.allclose(of_the_sum[0], of_the_sum[1])
    decoupled = decoupled_normalised(terms, torch.ones(2), eps=0.0)
    assert torch.allclose(decoupled[1], 2 * decoupled[0])


@law
@given(rewards=REWARDS)
def test_a_single_decoupled_term_is_the_normalised_group_up_to_one_factor(rewards):
    decoupled = decoupled_normalised(rewards[None], torch.ones(1), eps=1e-4)
    normalised = group_normalised(rewards, eps=1e-4)
    assert torch.allclose(decoupled * normalised.abs().max(), normalised * decoupled.abs().max(), atol=1e-4)


@law
@given(rewards=REWARDS, scale=st.sampled_from([0.5, 10.0]))
def test_a_decoupled_term_ignores_its_own_scale_and_heeds_its_weight(rewards, scale):
    terms = torch.stack([rewards, rewards.roll(1, dims=1)])
    decoupled = functools.partial(decoupled_normalised, weights=torch.tensor([1.0, 0.5]), eps=0.0)
    scaled = terms * torch.tensor([1.0, scale])[:, None, None]
    assert torch.allclose(decoupled(terms).nan_to_num(), decoupled(scaled).nan_to_num(), atol=1e-3)
    without = decoupled_normalised(terms, torch.tensor([1.0, 0.0]), eps=1e-4)
    assert torch.allclose(without, decoupled_normalised(terms[:1], torch.ones(1), eps=1e-4))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_decoupled_advantages_have_deviation_one_whatever_the_number_of_terms(count):
    terms = torch.rand(count, 6, 4, generator=torch.Generator().manual_seed(count))
    advantages = decoupled_normalised(terms, torch.full((count,), 3.0), eps=0.0)
    assert advantages.std() == pytest.approx(1)


def test_decoupled_weights_must_be_as_many_as_the_terms():
    with pytest.raises(ValueError, match=r"terms must be \[K, P, G\] and weights \[K\]"):
        decoupled_normalised(torch.zeros(2, 3, 4), torch.ones(3), eps=1e-4)


def test_uncentred_rewards_are_the_rewards():
    rewards = torch.tensor([[1.5], [0.0]])
    assert torch.equal(uncentred(rewards), rewards)


def test_normalised_advantages_may_use_the_biased_deviation():
    advantages = group_normalised(torch.tensor([[1.0, 0.0, 1.0, 0.0]]), eps=0.0, ddof=0)
    assert torch.allclose(advantages, torch.tensor([[1.0, -1.0, 1.0, -1.0]]))


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
