"""The vision tower's output: once for each group, and once a step where the tower is frozen."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import Qwen2_5_VLModel

from lmm_r1.models.packed_model import trunk_of


class ImageFeatures:
    """Visual tokens of the groups of one step. Lives as long as the step does, and so does what it remembers."""

    def __init__(self, pixel_values: Sequence[Tensor | None], image_grid_thw: Sequence[Tensor | None]) -> None:
        """Args: for each group its patches and their grids as in `Experience`."""
        self._pixel_values, self._image_grid_thw = pixel_values, image_grid_thw
        self._remembered: dict[nn.Module, dict[int, Tensor]] = {}

    def __call__(self, trunk: Qwen2_5_VLModel, groups: Sequence[int]) -> Tensor | None:
        """The features `[visual tokens, H]` of these groups' images, in order; None where no group has any.

        With gradient where the tower is trained. A frozen tower sees each image once, whatever model it is part of.
        """
        groups = [group for group in groups if self._pixel_values[group] is not None]
        if not groups:
            return None
        tower = trunk.visual
        if any(parameter.requires_grad for parameter in tower.parameters()):
            return torch.cat(self._compute(trunk, groups))
        known = self._remembered.setdefault(tower, {})
        missing = [group for group in dict.fromkeys(groups) if group not in known]
        if missing:
            with torch.no_grad():
                known.update(zip(missing, self._compute(trunk, missing), strict=True))
        return torch.cat([known[group] for group in groups])

    def _compute(self, trunk: Qwen2_5_VLModel, groups: list[int]) -> list[Tensor]:
        device = trunk.device
        pixels = torch.cat([self._pixel_values[group] for group in groups]).to(device)
        grids = [self._image_grid_thw[group] for group in groups]
        images = trunk.get_image_features(pixels, torch.cat(grids).to(device), return_dict=True).pooler_output
        images = iter(images)
        return [torch.cat([next(images) for _ in grid]) for grid in grids]


def share_frozen_tower(policy: nn.Module, other: nn.Module) -> None:
    """Let the reference or the critic's model use the policy's own vision tower where both are frozen and equal."""
    own, others = trunk_of(policy), trunk_of(other)
    if any(parameter.requires_grad for parameter in own.visual.parameters()):
        return
    weights, other_weights = own.visual.state_dict(), others.visual.state_dict()
    if weights.keys() == other_weights.keys() and all(
        torch.equal(weights[name], other_weights[name]) for name in weights
    ):
        others.visual = own.visual
