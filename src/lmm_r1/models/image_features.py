"""The vision tower's output: once for each group, and once a step where the tower is frozen."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import Qwen2_5_VLForConditionalGeneration


class ImageFeatures:
    """Visual tokens of the groups of one step. Lives as long as the step does, and so does what it remembers."""

    def __init__(self, pixel_values: Sequence[Tensor | None], image_grid_thw: Sequence[Tensor | None]) -> None:
        """Args: for each group its patches and their grids as in `Experience`."""
        self._pixel_values, self._image_grid_thw = pixel_values, image_grid_thw
        self._remembered: dict[nn.Module, dict[int, Tensor]] = {}

    def __call__(self, model: Qwen2_5_VLForConditionalGeneration, groups: Sequence[int]) -> Tensor | None:
        """The features `[visual tokens, H]` of these groups' images, in order; None where no group has any.

        With gradient where the tower is trained. A frozen tower sees each image once, whatever model it is part of.
        """
        groups = [group for group in groups if self._pixel_values[group] is not None]
        if not groups:
            return None
        tower = model.model.visual
        if any(parameter.requires_grad for parameter in tower.parameters()):
            return torch.cat(self._compute(model, groups))
        known = self._remembered.setdefault(tower, {})
        missing = [group for group in dict.fromkeys(groups) if group not in known]
        if missing:
            with torch.no_grad():
                known.update(zip(missing, self._compute(model, missing), strict=True))
        return torch.cat([known[group] for group in groups])

    def _compute(self, model: Qwen2_5_VLForConditionalGeneration, groups: list[int]) -> list[Tensor]:
        device = model.device
        pixels = torch.cat([self._pixel_values[group] for group in groups]).to(device)
        grids = [self._image_grid_thw[group] for group in groups]
        images = model.model.get_image_features(pixels, torch.cat(grids).to(device), return_dict=True).pooler_output
        images = iter(images)
        return [torch.cat([next(images) for _ in grid]) for grid in grids]


def share_frozen_tower(policy: nn.Module, reference: nn.Module) -> None:
    """Let the reference use the policy's own vision tower where that is frozen and the two are equal."""
    own, other = base_model(policy).model, base_model(reference).model
    if any(parameter.requires_grad for parameter in own.visual.parameters()):
        return
    weights, others = own.visual.state_dict(), other.visual.state_dict()
    if weights.keys() == others.keys() and all(torch.equal(weights[name], others[name]) for name in weights):
        other.visual = own.visual


def base_model(model: nn.Module) -> Qwen2_5_VLForConditionalGeneration:
    """The model inside PEFT's wrapper, its adapters in place; or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model
