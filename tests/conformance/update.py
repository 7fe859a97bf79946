"""One random update, as our functions and as other trainers take it, and the comparison of what they make of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch

from lmm_r1.algorithms.kl import importance_weighted, k3
from lmm_r1.algorithms.losses import TokenLoss

WITHIN = {"rtol": 1e-6, "atol": 1e-6}
ABSENT = "{} is not installed: `make conformance` compares with it"


@dataclasses.dataclass
class Update:
    """Completions of ragged lengths, `[B, T]` each; clipped ratios on both sides, advantages of both signs and 0."""

    logprobs: torch.Tensor
    old: torch.Tensor
    reference: torch.Tensor
    sampler: torch.Tensor
    advantages: torch.Tensor
    mask: torch.Tensor

    @classmethod
    def random(cls, seed: int = 0, *, spread: float = 0.4, rows: int = 8, tokens: int = 11) -> Update:
        generator = torch.Generator().manual_seed(seed)

        def noise(scale: float) -> torch.Tensor:
            return scale * torch.randn(rows, tokens, generator=generator)

        old = -3 * torch.rand(rows, tokens, generator=generator) - 0.1
        lengths = torch.randint(1, tokens + 1, (rows, 1), generator=generator)
        lengths[0] = tokens
        advantages = torch.randn(rows, 1, generator=generator)
        advantages[1] = 0
        return cls(
            logprobs=(old + noise(spread)).requires_grad_(),
            old=old,
            reference=old + noise(0.5),
            sampler=old + noise(0.3),
            advantages=advantages,
            mask=torch.arange(tokens) < lengths,
        )

    @property
    def numeric_mask(self) -> torch.Tensor:
        """The mask as TRL and verl take it."""
        return self.mask.long()

    def rows(self, rows: slice) -> Update:
        """Some of the completions; what they pull on is still the whole update's `logprobs`."""
        return Update(**{field.name: getattr(self, field.name)[rows] for field in dataclasses.fields(self)})


def ours(
    update: Update,
    loss: Callable[..., TokenLoss],
    aggregation: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]],
    *,
    kl_coef: float = 0.0,
    weighted_kl: bool = False,
    correction: torch.Tensor | None = None,
) -> torch.Tensor:
    """The loss of an update from the project's functions."""
    tokens = loss(update.logprobs, update.old, update.advantages, update.mask).loss
    if correction is not None:
        tokens = tokens * correction
    if kl_coef:
        penalty = k3(update.logprobs, update.reference)
        if weighted_kl:
            penalty = importance_weighted(penalty, update.logprobs, update.old)
        tokens = tokens + kl_coef * penalty
    weights, count = aggregation(update.mask)
    return (tokens * weights).sum() / count


def gradient(loss: torch.Tensor, update: Update) -> torch.Tensor:
    return torch.autograd.grad(loss, update.logprobs, retain_graph=True)[0]


def assert_equal(our_loss: torch.Tensor, their_loss: torch.Tensor, update: Update) -> None:
    """Value and gradient agree, and there is something in them to disagree about."""
    assert our_loss.abs() > 1e-4
    assert gradient(our_loss, update).abs().max() > 1e-4
    torch.testing.assert_close(our_loss, their_loss, **WITHIN)
    torch.testing.assert_close(gradient(our_loss, update), gradient(their_loss, update), **WITHIN)
