"""Advantages, returns and whitening equal those of verl 0.9.1's `core_algos`."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lmm_r1.algorithms.advantages import decoupled_normalised, group_centred, group_normalised, leave_one_out
from lmm_r1.algorithms.kl import k1
from lmm_r1.algorithms.returns import generalised_advantages, returns_to_go, token_rewards, whitened
from tests.conformance.update import ABSENT, WITHIN, Update

pytest.importorskip("verl", reason=ABSENT.format("verl"))

import verl.utils.torch_functional as verl_functional
from verl.trainer.config import AlgoConfig
from verl.trainer.ppo import core_algos

GROUPS, SIZE, TOKENS = 5, 4, 9
INDEX = np.repeat(np.arange(GROUPS), SIZE)


class Rollout:
    """P groups of G completions with graded rewards, verl's way and ours; the first group is all alike."""

    def __init__(self, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.rewards = torch.randint(0, 4, (GROUPS, SIZE), generator=generator) / 2
        self.rewards[0] = 0.5
        self.update = Update.random(seed, rows=GROUPS * SIZE, tokens=TOKENS)
        self.mask, self.numeric_mask = self.update.mask, self.update.numeric_mask
        self.values = torch.randn(GROUPS * SIZE, TOKENS, generator=generator)

    @property
    def token_rewards(self) -> torch.Tensor:
        return token_rewards(self.rewards.flatten(), None, self.mask, 0.0)

    def spread(self, advantages: torch.Tensor) -> torch.Tensor:
        """`[P, G]` to the `[N, T]` that verl gives."""
        return advantages.flatten()[:, None] * self.mask


@pytest.fixture(params=[0, 1, 2])
def rollout(request) -> Rollout:
    return Rollout(request.param)


def test_normalised_groups_are_verls(rollout):
    theirs, _ = core_algos.compute_grpo_outcome_advantage(rollout.token_rewards, rollout.mask, INDEX, epsilon=1e-6)
    torch.testing.assert_close(rollout.spread(group_normalised(rollout.rewards, eps=1e-6)), theirs, **WITHIN)


def test_centred_groups_are_verls(rollout):
    theirs, _ = core_algos.compute_grpo_outcome_advantage(
        rollout.token_rewards, rollout.mask, INDEX, norm_adv_by_std_in_grpo=False
    )
    torch.testing.assert_close(rollout.spread(group_centred(rollout.rewards)), theirs, **WITHIN)


def test_leave_one_out_is_verls(rollout):
    theirs, _ = core_algos.compute_rloo_outcome_advantage(rollout.token_rewards, rollout.mask, INDEX)
    torch.testing.assert_close(rollout.spread(leave_one_out(rollout.rewards)), theirs, **WITHIN)


def test_verl_makes_an_advantage_of_rounding_where_all_rewards_are_alike():
    """Seven rewards of 0.1 have a mean that is not 0.1 in float32; divided by eps it teaches. Ours is exactly 0."""
    rewards, mask = torch.full((1, 7), 0.1), torch.ones(7, 1)
    theirs, _ = core_algos.compute_grpo_outcome_advantage(rewards.T, mask, np.zeros(7, dtype=int), epsilon=1e-6)
    assert theirs.abs().max() > 1e-3
    assert group_normalised(rewards, eps=1e-6).abs().max() == 0


def test_reinforce_plus_plus_baseline_is_verls(rollout):
    theirs, _ = core_algos.compute_reinforce_plus_plus_baseline_outcome_advantage(
        rollout.token_rewards, rollout.numeric_mask, INDEX
    )
    mine = whitened(rollout.spread(group_centred(rollout.rewards)), rollout.mask)
    torch.testing.assert_close(mine, theirs, **WITHIN)


@pytest.mark.parametrize("gamma", [1.0, 0.9])
def test_reinforce_plus_plus_is_verls(rollout, gamma):
    penalised = token_rewards(rollout.rewards.flatten(), rollout.values, rollout.mask, 0.1)
    theirs, their_returns = core_algos.compute_reinforce_plus_plus_outcome_advantage(
        penalised, rollout.numeric_mask, AlgoConfig(gamma=gamma)
    )
    returns = returns_to_go(penalised, rollout.mask, gamma=gamma)
    torch.testing.assert_close(returns, their_returns, **WITHIN)
    torch.testing.assert_close(whitened(returns, rollout.mask), theirs, **WITHIN)


@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 1.0), (0.99, 0.95), (1.0, 0.0)])
@pytest.mark.parametrize("holes", [False, True])
def test_generalised_advantages_are_verls(rollout, gamma, lam, holes):
    mask = rollout.mask.clone()
    if holes:
        mask[:, 2] = False
    rewards = token_rewards(rollout.rewards.flatten(), rollout.values.sin(), mask, 0.1)
    theirs, their_returns = core_algos.compute_gae_advantage_return(rewards, rollout.values, mask.long(), gamma, lam)
    advantages, returns = generalised_advantages(rewards, rollout.values, mask, gamma=gamma, lam=lam)
    torch.testing.assert_close(returns, their_returns * mask, **WITHIN)
    torch.testing.assert_close(whitened(advantages, mask), theirs * mask, **WITHIN)


def test_whitening_is_verls_and_the_other_kind_is_openrlhfs(rollout):
    theirs = verl_functional.masked_whiten(rollout.values, rollout.mask)
    torch.testing.assert_close(whitened(rollout.values, rollout.mask), theirs * rollout.mask, **WITHIN)
    count = rollout.mask.sum()
    biased = theirs * rollout.mask * (count / (count - 1)).sqrt()
    torch.testing.assert_close(whitened(rollout.values, rollout.mask, unbiased=False), biased, **WITHIN)


def test_penalised_rewards_are_verls(rollout):
    update = rollout.update
    theirs = core_algos.compute_rewards(rollout.token_rewards, update.old, update.reference, 0.1)
    mine = token_rewards(rollout.rewards.flatten(), k1(update.old, update.reference), rollout.mask, 0.1)
    torch.testing.assert_close(mine, theirs * rollout.mask, **WITHIN)


def test_verl_whitens_decoupled_advantages_over_tokens_and_ours_scales_them_over_completions(rollout):
    """The paper's batch holds completions. Spread over tokens and whitened again, ours are verl's."""
    terms = torch.stack([rollout.rewards, rollout.rewards.flip(1).square()])
    lengths = rollout.mask.sum(dim=1)
    # verl finds the last token by the attention mask of prompt and completion; the prompt has one token here.
    attention = torch.cat([torch.ones(len(lengths), 1, dtype=torch.long), rollout.numeric_mask], dim=1)
    theirs, _ = core_algos.compute_gdpo_outcome_advantage(
        rollout.token_rewards,
        rollout.numeric_mask,
        INDEX,
        epsilon=1e-6,
        config=AlgoConfig(gdpo_reward_keys=["one", "other"], gdpo_reward_weights=[1.0, 0.5]),
        non_tensor_batch={"one": terms[0].flatten().numpy(), "other": terms[1].flatten().numpy()},
        batch={"prompts": torch.ones(len(lengths), 1), "attention_mask": attention},
    )
    mine = rollout.spread(decoupled_normalised(terms, torch.tensor([1.0, 0.5]), eps=1e-6))
    torch.testing.assert_close(whitened(mine, rollout.mask), theirs, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(mine, theirs, atol=1e-3)
