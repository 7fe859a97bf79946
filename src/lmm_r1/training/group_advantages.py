"""From scored groups to an advantage for each completion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import lightning as L
import torch

from lmm_r1.training.collate import rewards_of
from lmm_r1.training.distributed import gather_objects
from lmm_r1.types import Group


def group_advantages(
    trainer: L.Trainer,
    groups: Sequence[Group],
    advantage: Callable[..., torch.Tensor],
    weights: Mapping[str, float] | None,
) -> torch.Tensor:
    """`[P, G]`: the advantages of this process's groups.

    The function is given the rewards of all processes, so that one which looks beyond the group sees the whole batch.

    Args:
        advantage: rewards `[P, G]` to advantages `[P, G]`; with `weights`, terms `[K, P, G]` and their weights `[K]`.
        weights: those of the reward's terms, or None for an advantage of their sum.
    """
    paid = [name for name, weight in (weights or {}).items() if weight != 0]
    own = rewards_of(groups)[None] if weights is None else terms_of(groups, paid)
    parts = gather_objects(trainer, own)
    rewards = torch.cat(parts, dim=1)
    if weights is None:
        advantages = advantage(rewards[0])
    else:
        advantages = advantage(rewards, torch.tensor([weights[name] for name in paid]))
    return advantages.split([part.shape[1] for part in parts])[trainer.global_rank]


def terms_of(groups: Sequence[Group], names: Sequence[str]) -> torch.Tensor:
    """`[K, P, G]` float32: each completion's reward terms before their weights."""
    return torch.tensor(
        [[[score.breakdown[name] for score in group.scores] for group in groups] for name in names],
        dtype=torch.float32,
    )
