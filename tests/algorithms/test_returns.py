"""Laws of rewards, returns and advantages of tokens."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmm_r1.algorithms.returns import (
    generalised_advantages,
    penalty_share,
    returns_to_go,
    token_rewards,
    whitened,
)
from tests.algorithms.batches import GARBAGE, law, on_processes, ragged_mask


class Tokens:
    """Rewards and values `[N, T]` and a mask; with holes in it where `holes` says so."""

    def __init__(self, seed: int, rows: int, tokens: int, holes: bool) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.rewards, self.values = torch.randn(2, rows, tokens, generator=generator)
        self.mask = ragged_mask(rows, tokens, generator)
        if holes:
            self.mask &= torch.rand(rows, tokens, generator=generator) < 0.6


tokens = st.builds(Tokens, st.integers(0, 2**31), st.integers(1, 5), st.integers(1, 8), st.booleans())
discounts = st.sampled_from([0.0, 0.5, 0.9, 1.0])


def naive_returns(rewards: list[float], gamma: float) -> list[float]:
    return [sum(gamma**step * reward for step, reward in enumerate(rewards[start:])) for start in range(len(rewards))]


@law
@given(tokens=tokens, gamma=discounts)
def test_returns_are_discounted_sums_over_the_sampled_tokens(tokens, gamma):
    returns = returns_to_go(tokens.rewards, tokens.mask, gamma=gamma)
    for row, mask, got in zip(tokens.rewards, tokens.mask, returns, strict=True):
        expected = torch.tensor(naive_returns(row[mask].tolist(), gamma))
        torch.testing.assert_close(got[mask], expected, rtol=1e-5, atol=1e-5)


@law
@given(tokens=tokens, gamma=discounts)
def test_full_trust_in_rewards_makes_the_advantage_return_minus_value(tokens, gamma):
    advantages, returns = generalised_advantages(tokens.rewards, tokens.values, tokens.mask, gamma=gamma, lam=1.0)
    to_go = returns_to_go(tokens.rewards, tokens.mask, gamma=gamma)
    torch.testing.assert_close(returns, to_go, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(advantages, (to_go - tokens.values) * tokens.mask, rtol=1e-4, atol=1e-5)


@law
@given(tokens=tokens, gamma=discounts)
def test_full_trust_in_the_critic_looks_one_token_ahead(tokens, gamma):
    advantages, _ = generalised_advantages(tokens.rewards, tokens.values, tokens.mask, gamma=gamma, lam=0.0)
    for reward, value, mask, got in zip(tokens.rewards, tokens.values, tokens.mask, advantages, strict=True):
        following = torch.cat([value[mask][1:], torch.zeros(1)])[: mask.sum()]
        torch.testing.assert_close(got[mask], reward[mask] + gamma * following - value[mask])


@law
@given(tokens=tokens, lam=discounts, garbage=st.sampled_from(GARBAGE))
def test_what_is_outside_the_mask_has_no_influence(tokens, lam, garbage):
    def everything(rewards, values):
        scores = torch.ones(len(rewards))
        yield token_rewards(scores, values, tokens.mask, 0.1)
        yield returns_to_go(rewards, tokens.mask, gamma=0.9)
        yield from generalised_advantages(rewards, values, tokens.mask, gamma=0.9, lam=lam)
        for unbiased in (True, False):
            yield whitened(rewards, tokens.mask, unbiased=unbiased)

    spoilt = [torch.where(tokens.mask, tensor, garbage) for tensor in (tokens.rewards, tokens.values)]
    for clean, dirty in zip(everything(tokens.rewards, tokens.values), everything(*spoilt), strict=True):
        assert torch.equal(clean, dirty)
        assert (clean[~tokens.mask] == 0).all()


def test_a_reward_stands_at_the_last_sampled_token():
    mask = torch.tensor([[True, True, False], [True, False, True], [False, False, False]])
    rewards = token_rewards(torch.tensor([1.0, 2.0, 3.0]), None, mask, 0.0)
    assert rewards.tolist() == [[0, 1, 0], [0, 0, 2], [0, 0, 0]]


@law
@given(tokens=tokens)
def test_token_rewards_add_up_to_the_reward_less_the_penalty(tokens):
    tokens.mask[:, 0] = True
    scores = tokens.rewards[:, 0]
    rewards = token_rewards(scores, tokens.values, tokens.mask, 0.1)
    expected = scores - 0.1 * (tokens.values * tokens.mask).sum(dim=1)
    torch.testing.assert_close(rewards.sum(dim=1), expected, rtol=1e-5, atol=1e-6)


def test_without_discount_and_penalty_every_token_has_the_reward():
    mask = torch.tensor([[True, True, True], [True, False, False]])
    rewards = token_rewards(torch.tensor([1.5, -1.0]), None, mask, 0.0)
    assert returns_to_go(rewards, mask, gamma=1.0).tolist() == [[1.5, 1.5, 1.5], [-1, 0, 0]]


@pytest.mark.parametrize("unbiased", [True, False])
@law
@given(tokens=tokens, shift=st.sampled_from([0.0, 100.0]), scale=st.sampled_from([1.0, 50.0]))
def test_whitened_advantages_have_mean_zero_and_deviation_one(unbiased, tokens, shift, scale):
    whole = whitened(tokens.rewards * scale + shift, tokens.mask, unbiased=unbiased)[tokens.mask]
    if len(whole) > 1:
        assert whole.mean().abs() < 1e-4
        assert whole.std(correction=int(unbiased)) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("unbiased", [True, False])
@law
@given(tokens=tokens, others=tokens)
def test_whitening_does_not_depend_on_the_number_of_processes(unbiased, tokens, others):
    def whiten(advantages, mask, **reduce):
        return whitened(advantages, mask, unbiased=unbiased, **reduce)

    width = max(tokens.mask.shape[1], others.mask.shape[1])
    parts = [
        tuple(torch.nn.functional.pad(tensor, (0, width - tensor.shape[1])) for tensor in (part.rewards, part.mask))
        for part in (tokens, others)
    ]
    together = whiten(*(torch.cat(both) for both in zip(*parts, strict=True)))
    torch.testing.assert_close(together, torch.cat(on_processes(whiten, *parts)))


@pytest.mark.parametrize("unbiased", [True, False])
def test_equal_advantages_whiten_to_zero(unbiased):
    mask = torch.tensor([[True, True, False], [True, False, False]])
    advantages = whitened(torch.full((2, 3), 0.1), mask, unbiased=unbiased)
    assert advantages.abs().max() == 0


def test_a_long_completion_weighs_more_than_a_short_one():
    mask = torch.tensor([[True, True, True], [True, False, False]])
    advantages = whitened(torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]), mask, unbiased=False)
    assert advantages[1, 0] == pytest.approx(-3 * advantages[0, 0].item())


def test_where_rewards_say_nothing_whitening_makes_full_advantages_of_the_penalty():
    """As verl, OpenRLHF and LMM-R1's code do; `penalty_share` is how a run finds out."""
    mask, equal = torch.ones(4, 2, dtype=torch.bool), torch.zeros(4)
    noise = torch.tensor([[1e-3, 0.0], [0.0, 2e-3], [0.0, 0.0], [3e-3, 1e-3]])
    of_noise = whitened(returns_to_go(token_rewards(equal, noise, mask, 1.0), mask, gamma=1.0), mask)
    assert float(of_noise.std()) == pytest.approx(1, abs=0.01)
    assert float(penalty_share(equal, noise, mask, 1.0)) == 1
    differing = torch.tensor([1.0, 0.0, 1.0, 0.0])
    assert float(penalty_share(differing, noise, mask, 1.0)) < 1e-4
    assert float(penalty_share(equal, torch.zeros(4, 2), mask, 1.0)) == 0


@law
@given(tokens=tokens, others=tokens)
def test_the_share_of_the_penalty_is_that_of_all_processes_and_ignores_padding(tokens, others):
    def share(rewards, penalty, mask, **reduce):
        return penalty_share(rewards, penalty, mask, 0.1, **reduce)

    width = max(tokens.mask.shape[1], others.mask.shape[1])
    parts = []
    for part, value in ((tokens, GARBAGE[0]), (others, GARBAGE[1])):
        penalty, mask = (
            torch.nn.functional.pad(each, (0, width - each.shape[1])) for each in (part.rewards, part.mask)
        )
        parts.append((part.values[:, 0], torch.where(mask, penalty, value), mask))
    together = share(*(torch.cat(both) for both in zip(*parts, strict=True)))
    assert 0 <= float(together) <= 1
    torch.testing.assert_close(torch.stack(on_processes(share, *parts)), together.expand(2))
