"""Tokens that vLLM gives no probability, whichever of its model runners is at work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def banning(token_ids: Sequence[int]) -> type:
    """A logits processor that gives `token_ids` no probability at all, in one operation for the whole batch.

    It acts before the temperature, so `processed_logprobs` are those of the distribution that is sampled. vLLM's own
    means are a bias of at most -100, which is no ban, or lists that are applied request by request.

    vLLM samples with Model Runner V2 where it has Triton, which means on GPUs, and with V1 elsewhere. Each loads
    classes of its own interface alone, and which it will be is decided after it was handed the class: so this has both.
    """

    class BannedTokens(*_interfaces()):
        def __init__(self, vllm_config: Any, place: Any, is_pin_memory: bool = False) -> None:
            """`place` is V1's device, or the state of V2's requests, which names it."""
            device = place if isinstance(place, torch.device) else place.device
            self.token_ids = torch.tensor(token_ids, dtype=torch.int64, device=device)

        def apply(self, logits: Tensor, batch: Any = None) -> Tensor:
            return logits.index_fill_(-1, self.token_ids, -torch.inf)

        def is_argmax_invariant(self) -> bool:
            return False

        def update_state(self, batch_update: Any) -> None:
            pass

    return BannedTokens


def _interfaces() -> tuple[type, ...]:
    """What vLLM's model runners demand of a logits processor."""
    from vllm.v1.sample.logits_processor import LogitsProcessor as OfV1

    try:
        from vllm.v1.worker.gpu.sample.logits_processor import LogitsProcessor as OfV2
    except ModuleNotFoundError:
        # Older vLLM, which takes V1 for whoever brings a processor.
        return (OfV1,)
    return OfV1, OfV2
