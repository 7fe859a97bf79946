"""A value for each token of a completion: what PPO's critic learns."""

from __future__ import annotations

import torch
from peft import PeftModel
from torch import Tensor, nn

from lmm_r1.models.logprobs import completion_inputs


class ValueModel(nn.Module):
    """The last hidden state of a Qwen2.5-VL through one linear unit.

    The unit's weights begin at 0, so that the first values are 0 whatever the seed, and the first advantages those of
    REINFORCE. (OpenRLHF draws them with a spread of 1/(d + 1); next to nothing as well.)
    """

    def __init__(self, model: nn.Module, *, trains_model: bool) -> None:
        """Args: `model`: a Qwen2.5-VL with its output head, or PEFT's wrapper of one. With `trains_model` its trunk
        becomes part of this model. Otherwise it stays somebody else's: hidden states are read from it and no
        gradient goes back, so that the head alone learns."""
        super().__init__()
        self.trunk = _trunk(model) if trains_model else None
        # In a tuple, so that the parameters of a shared trunk are not counted, saved and trained twice.
        self._shared = () if trains_model else (model,)
        width = _trunk(model).config.text_config.hidden_size
        self.head = nn.Linear(width, 1, dtype=torch.float32)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(
        self,
        prompt_ids: list[Tensor],
        completion_ids: Tensor,
        completion_mask: Tensor,
        pixel_values: Tensor | None,
        image_grid_thw: Tensor | None,
    ) -> Tensor:
        """`[B, T]` float32, 0 on padding: the expected return at each token, before the token is chosen.

        The arguments are those of `logprobs.completion_statistics`.
        """
        trunk = self.trunk if self.trunk is not None else _trunk(*self._shared)
        inputs, predicting = completion_inputs(
            trunk.config, prompt_ids, completion_ids, completion_mask, pixel_values, image_grid_thw
        )
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.trunk is not None):
            hidden = trunk(**inputs, use_cache=False).last_hidden_state[:, predicting]
        # The head works in float32 under mixed precision too: returns are sums, and small differences matter.
        with torch.autocast(hidden.device.type, enabled=False):
            values = self.head(hidden.float()).squeeze(-1)
        return values.masked_fill(~completion_mask, 0.0)


def _trunk(model: nn.Module) -> nn.Module:
    """The model without its output head; adapters stay in place, they are parts of its layers."""
    return (model.get_base_model() if isinstance(model, PeftModel) else model).model
