"""A value for each token of a completion: what PPO's critic learns."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn
from transformers import Qwen2_5_VLModel

from lmm_r1.models.packed_model import packed_hidden_states, trunk_of
from lmm_r1.models.packing import PromptGroup


class ValueModel(nn.Module):
    """The last hidden state of a Qwen2.5-VL through one linear unit.

    The unit's weights begin at 0, so that the first values are 0 whatever the seed, and the first advantages those of
    REINFORCE. (OpenRLHF draws them with a spread of 1/(d + 1); next to nothing as well.)
    """

    def __init__(self, model: nn.Module, *, trains_model: bool) -> None:
        """Args: `model`: a Qwen2.5-VL from `load_policy`, or PEFT's wrapper of one. With `trains_model` its trunk
        becomes part of this model. Otherwise it stays somebody else's: hidden states are read from it and no
        gradient goes back, so that the head alone learns."""
        super().__init__()
        self.trunk = trunk_of(model) if trains_model else None
        # In a tuple, so that the parameters of a shared trunk are not counted, saved and trained twice.
        self._shared = () if trains_model else (trunk_of(model),)
        self.head = nn.Linear(self.reads.config.text_config.hidden_size, 1, dtype=torch.float32)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    @property
    def reads(self) -> Qwen2_5_VLModel:
        """The trunk whose hidden states the head reads, its own or somebody else's."""
        return self._shared[0] if self.trunk is None else self.trunk

    def trunk_gradient(self) -> AbstractContextManager[None]:
        """No gradient where the trunk is somebody else's."""
        return torch.set_grad_enabled(torch.is_grad_enabled() and self.trunk is not None)

    def forward(self, groups: Sequence[PromptGroup], image_features: Tensor | None) -> Tensor:
        """`[S]` float32, for the sampled tokens of all groups in order: the expected return before the token is chosen.

        The arguments are those of `packed_hidden_states`.
        """
        with self.trunk_gradient():
            hidden = packed_hidden_states(self.reads, groups, image_features).hidden
        # In float32 whatever the precision of the rest: returns are sums, and small differences matter.
        with torch.autocast(hidden.device.type, enabled=False):
            return nn.functional.linear(hidden.float(), self.head.weight.float(), self.head.bias.float()).squeeze(-1)
