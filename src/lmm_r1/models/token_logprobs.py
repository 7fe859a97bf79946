"""From hidden states to log-probabilities without ever holding the logits of all tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lmm_r1.models.costs import CHUNK_TOKENS


def token_logprobs(
    hidden: Tensor,
    weight: Tensor,
    sampled: Tensor,
    *,
    temperature: float,
    banned: Tensor,
    with_entropy: bool,
    entropy_gradient: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Log-probability of each sampled token under softmax(W·h / temperature) without the banned ids, and the entropy.

    Logits are computed for one chunk of tokens at a time and once more in the backward pass, so that memory does not
    grow with tokens times vocabulary. Products are in the dtype of autocast, or of `hidden`; everything after
    them, and the sum of the head's gradient over chunks, in float32.

    Args:
        hidden: `[S, H]`, what the head reads before each sampled token.
        weight: `[V, H]`, the head's weight, tied or not.
        sampled: `[S]` int64.
        temperature: above 0.
        banned: ids `[K]` that take no part in the softmax.

    Returns:
        log-probabilities `[S]` float32 with gradient, and entropies `[S]` float32 in nats, or None; these have a
        gradient with `entropy_gradient`.
    """
    device = hidden.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
    with torch.autocast(device, enabled=False):
        logprobs, entropy = _TokenLogprobs.apply(hidden, weight, sampled, banned, temperature, with_entropy, dtype)
    if not with_entropy:
        return logprobs, None
    return logprobs, entropy if entropy_gradient else entropy.detach()


class _TokenLogprobs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        sampled: Tensor,
        banned: Tensor,
        temperature: float,
        with_entropy: bool,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor]:
        logprobs, normaliser, entropy = (
            torch.zeros(len(hidden), dtype=torch.float32, device=hidden.device) for _ in range(3)
        )
        product_weight = weight.to(dtype)
        for chunk in _chunks(hidden):
            logits = _logits(hidden[chunk].to(dtype), product_weight, temperature, banned)
            # Not logits - logsumexp: where p is nearly 1, log p would be lost in the rounding of large logits.
            every = logits.log_softmax(-1)
            logprobs[chunk] = every.gather(-1, sampled[chunk, None]).squeeze(-1)
            normaliser[chunk] = logits.gather(-1, sampled[chunk, None]).squeeze(-1) - logprobs[chunk]
            if with_entropy:
                probabilities = torch.exp(every, out=logits)
                # 0 · log 0 is 0 here.
                entropy[chunk] = -torch.linalg.vecdot(probabilities, every.index_fill_(-1, banned, 0.0))
                del probabilities
            # Before the next chunk's are made, so that no two chunks are in memory at once.
            del logits, every
        ctx.save_for_backward(hidden, weight, sampled, banned, normaliser, entropy)
        ctx.temperature, ctx.dtype = temperature, dtype
        ctx.set_materialize_grads(False)
        return logprobs, entropy

    @staticmethod
    def backward(ctx: Any, of_logprobs: Tensor | None, of_entropy: Tensor | None) -> tuple[Tensor | None, ...]:
        hidden, weight, sampled, banned, normaliser, entropy = ctx.saved_tensors
        if of_logprobs is None:
            of_logprobs = torch.zeros_like(normaliser)
        of_hidden = torch.zeros_like(hidden) if ctx.needs_input_grad[0] else None
        of_weight = torch.zeros_like(weight, dtype=torch.float32) if ctx.needs_input_grad[1] else None
        with torch.autocast(hidden.device.type, enabled=False):
            product_weight = weight.to(ctx.dtype)
            for chunk in _chunks(hidden):
                inputs = hidden[chunk].to(ctx.dtype)
                every = _logits(inputs, product_weight, ctx.temperature, banned).sub_(normaliser[chunk, None])
                # With l = log p: dl(sampled)/dz = [sampled] - p, and dH/dz = -p·(l + H).
                of_logits, scale = every.exp(), of_logprobs[chunk, None]
                if of_entropy is None:
                    of_logits.mul_(-scale)
                else:
                    every.index_fill_(-1, banned, 0.0).add_(entropy[chunk, None]).mul_(of_entropy[chunk, None])
                    of_logits.mul_(every.add_(scale).neg_())
                of_logits = of_logits.scatter_add_(-1, sampled[chunk, None], scale).div_(ctx.temperature).to(ctx.dtype)
                if of_hidden is not None:
                    of_hidden[chunk] = (of_logits @ product_weight).to(hidden.dtype)
                if of_weight is not None and ctx.dtype == torch.float32:
                    of_weight.addmm_(of_logits.T, inputs)
                elif of_weight is not None:
                    of_weight += of_logits.T @ inputs
                del every, of_logits
        return of_hidden, None if of_weight is None else of_weight.to(weight.dtype), None, None, None, None, None


def _chunks(hidden: Tensor) -> list[slice]:
    size = CHUNK_TOKENS[hidden.device.type]
    return [slice(start, start + size) for start in range(0, len(hidden), size)]


def _logits(hidden: Tensor, weight: Tensor, temperature: float, banned: Tensor) -> Tensor:
    """`[C, V]` float32, a tensor of its own."""
    return (hidden @ weight.T).float().div_(temperature).index_fill_(-1, banned, -torch.inf)
