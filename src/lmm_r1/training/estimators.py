"""From the rewards of tokens to their advantages: what `algorithm.estimator` may name.

Without an estimator every token of a completion gets the completion's advantage. Each function here takes the rewards
of the tokens `[N, T]`, which hold the KL penalty where `algorithm.kl_in` is `reward`, and whitens what it makes of
them over the tokens of the whole rollout in all processes, as verl and LMM-R1's code do. `unbiased` is verl's
kind of variance, its opposite OpenRLHF's and LMM-R1's, see `algorithms.returns.whitened`.

Whitening gives whatever varies the same size. Where few rewards of a rollout differ, that is the KL penalty: a group
whose rewards are all equal, which teaches nothing elsewhere, then gets the penalty's noise as its advantages. verl,
OpenRLHF and LMM-R1's code do the same, so it stays; `policy/kl_share_of_reward` measures it, and the log warns.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from lmm_r1.algorithms.moments import Reduce
from lmm_r1.algorithms.returns import generalised_advantages, returns_to_go, whitened


class TokenAdvantages(NamedTuple):
    """What the optimiser steps of a rollout aim at. Float32 and 0 on padding."""

    advantages: torch.Tensor
    """`[N, T]`, or `[N, 1]` where all tokens of a completion share one."""
    returns: torch.Tensor | None
    """`[N, T]`, what the value model learns; None where there is none."""


def return_to_go(
    token_rewards: torch.Tensor,
    values: torch.Tensor | None,
    mask: torch.Tensor,
    *,
    gamma: float,
    unbiased: bool,
    reduce: Reduce,
) -> TokenAdvantages:
    """REINFORCE++ (arXiv 2501.03262): the discounted rewards from a token on, whitened. There are no `values`."""
    returns = returns_to_go(token_rewards, mask, gamma=gamma)
    return TokenAdvantages(whitened(returns, mask, reduce=reduce, unbiased=unbiased), None)


def generalised_advantage(
    token_rewards: torch.Tensor,
    values: torch.Tensor | None,
    mask: torch.Tensor,
    *,
    gamma: float,
    lam: float,
    unbiased: bool,
    reduce: Reduce,
) -> TokenAdvantages:
    """PPO with a value model (GAE, arXiv 1506.02438, equation 16), whitened.

    Raises ValueError without `values`.
    """
    if values is None:
        raise ValueError("generalised advantages need a value model")
    advantages, returns = generalised_advantages(token_rewards, values, mask, gamma=gamma, lam=lam)
    return TokenAdvantages(whitened(advantages, mask, reduce=reduce, unbiased=unbiased), returns)
