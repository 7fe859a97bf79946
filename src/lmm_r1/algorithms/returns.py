"""Rewards to advantages of tokens: for the algorithms that discount, estimate with values, or whiten.

All tensors are `[N, T]`, completions by token positions, in float32; `mask` bool marks the sampled tokens. Positions
outside it are stepped over, as if the sampled tokens stood side by side; they get 0, and what they hold has no
influence. Nothing here carries a gradient.
"""

from __future__ import annotations

import torch

from lmm_r1.algorithms.moments import Reduce, identity, moments

VARIANCE_FLOOR = 1e-8
"""verl adds it to the variance, OpenRLHF raises the variance to it."""


@torch.no_grad()
def token_rewards(
    sequence_rewards: torch.Tensor, kl_penalty: torch.Tensor | None, mask: torch.Tensor, kl_coef: float
) -> torch.Tensor:
    """`-kl_coef·KL_t` at each token, plus the completion's reward at its last sampled token.

    The reward of InstructGPT (arXiv 2203.02155, equation 2) spread over tokens, as the authors of LMM-R1 coded it, with
    `kl.k1` as the penalty and a coefficient of 0.001.

    Args:
        sequence_rewards: `[N]`, one for each completion; of an empty one it goes nowhere.
        kl_penalty: `[N, T]`, an estimate from `kl`, or None for no penalty.
        mask: `[N, T]` bool.
        kl_coef: β.
    """
    positions = torch.arange(mask.shape[1], device=mask.device)
    last = torch.where(mask, positions, -1).amax(dim=1, keepdim=True)
    rewards = torch.where(positions == last, sequence_rewards.float()[:, None], 0.0)
    if kl_penalty is not None:
        rewards = rewards - kl_coef * kl_penalty.float()
    return rewards.masked_fill(~mask, 0.0)


@torch.no_grad()
def penalty_share(
    sequence_rewards: torch.Tensor,
    kl_penalty: torch.Tensor,
    mask: torch.Tensor,
    kl_coef: float,
    *,
    reduce: Reduce = identity,
) -> torch.Tensor:
    """How much of what tells completions apart is the KL penalty: a float64 scalar in [0, 1].

    The variance of `kl_coef·Σ_t KL_t` over the completions of all processes, divided by the sum of itself and of the
    variance of the rewards, or by the floor of `whitened` where that is more. Near 1 the rewards say nothing, and
    whitening makes advantages of full size of the penalty's noise. Arguments as for `token_rewards`.
    """
    penalties = kl_coef * torch.where(mask, kl_penalty.float(), 0.0).sum(dim=1)
    everyone = torch.ones_like(penalties, dtype=torch.bool)
    (_, of_rewards), (_, of_penalties) = (
        moments(each, everyone, ddof=0, reduce=reduce) for each in (sequence_rewards, penalties)
    )
    return of_penalties / (of_rewards + of_penalties).clamp(min=VARIANCE_FLOOR)


@torch.no_grad()
def returns_to_go(token_rewards: torch.Tensor, mask: torch.Tensor, *, gamma: float) -> torch.Tensor:
    """`G_t = r_t + gamma·G_{t+1}`: the discounted sum of this token's reward and all later ones.

    REINFORCE++ (arXiv 2501.03262), with gamma 1 in verl, OpenRLHF and LMM-R1's scripts.
    """
    running = torch.zeros_like(token_rewards[:, 0], dtype=torch.float32)
    backwards = []
    for rewards, sampled in zip(reversed(token_rewards.unbind(1)), reversed(mask.unbind(1)), strict=True):
        running = torch.where(sampled, rewards + gamma * running, running)
        backwards.append(running)
    return torch.stack(backwards[::-1], dim=1).masked_fill(~mask, 0.0)


@torch.no_grad()
def generalised_advantages(
    token_rewards: torch.Tensor, values: torch.Tensor, mask: torch.Tensor, *, gamma: float, lam: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Advantages `[N, T]` and the returns `[N, T]` that a critic learns, by generalised advantage estimation.

    `δ_t = r_t + gamma·V_{t+1} - V_t` and `A_t = δ_t + gamma·lam·A_{t+1}` (arXiv 1506.02438, equation 16); the
    return is `A_t + V_t`. After the last sampled token the value is 0, in a completion cut off by the length limit too,
    as in verl and OpenRLHF. verl's function whitens the advantages at once; here that is a step of its own, `whitened`.

    LMM-R1's scripts and paper: gamma 1, lam 1. verl and OpenRLHF default to the same.

    Args:
        token_rewards: `[N, T]`.
        values: `[N, T]`, the critic's estimate at each token, before the token is chosen.
        mask: `[N, T]` bool.
        gamma: the discount.
        lam: 1 trusts the rewards alone, 0 the critic alone beyond the next token.
    """
    advantage = torch.zeros_like(values[:, 0], dtype=torch.float32)
    next_value = torch.zeros_like(advantage)
    backwards = []
    for position in reversed(range(mask.shape[1])):
        reward, value, sampled = token_rewards[:, position], values[:, position].float(), mask[:, position]
        error = reward + gamma * next_value - value
        advantage = torch.where(sampled, error + gamma * lam * advantage, advantage)
        next_value = torch.where(sampled, value, next_value)
        backwards.append(advantage)
    advantages = torch.stack(backwards[::-1], dim=1).masked_fill(~mask, 0.0)
    return advantages, (advantages + values.float()).masked_fill(~mask, 0.0)


@torch.no_grad()
def whitened(
    advantages: torch.Tensor, mask: torch.Tensor, *, reduce: Reduce = identity, unbiased: bool = True
) -> torch.Tensor:
    """`(A - mean) / std` over all sampled tokens of the batch of all processes.

    REINFORCE++ (arXiv 2501.03262) and PPO's usual step. A long completion weighs more than a short one in mean and
    deviation. `unbiased`: verl's `rsqrt(var + 1e-8)` with the unbiased variance; otherwise OpenRLHF's
    `rsqrt(max(var, 1e-8))` with the biased one, which LMM-R1's models were trained with.
    """
    mean, variance = moments(advantages, mask, ddof=int(unbiased), reduce=reduce)
    floored = variance + VARIANCE_FLOOR if unbiased else variance.clamp(min=VARIANCE_FLOOR)
    return ((advantages.double() - mean) * floored.rsqrt()).float().masked_fill(~mask, 0.0)
