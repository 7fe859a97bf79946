"""Attention over a packed row: a completion sees its own past and its prompt, and nothing else.

Two ways to the same numbers, each registered with transformers. Everywhere `SHARED_PREFIX_SDPA`, torch's SDPA on the
prompts and on the completions apart; on a GPU also `SHARED_PREFIX_FLEX`, FlexAttention (arXiv 2412.05496) with a block
mask. SDPA copies each prompt's keys and values once for every completion and pads to the longest; FlexAttention does
neither, and must compile its kernels first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.integrations.flex_attention import flex_attention_forward
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, flex_attention_mask, sdpa_mask

from lmm_r1.models.packing import PackedRow

SHARED_PREFIX_SDPA = "shared_prefix_sdpa"
"""The name under which transformers finds `shared_prefix_attention`; for anything but a packed row it is `sdpa`."""

SHARED_PREFIX_FLEX = "shared_prefix_flex"
"""The name under which transformers finds `shared_prefix_flex_attention`. By its own name, `flex_attention`, it refuses
Qwen2.5-VL, for which it has not been declared."""

PADDING = 1.25
"""How much longer than the shortest prompt of a batch the longest may be; beyond, a batch of its own costs less."""


@dataclass(frozen=True)
class PrefixBatch:
    """Groups of like prompt length, whose attention is computed together: Q prompts, R completions."""

    prompts: int
    prompt_length: int
    """The longest, P: shorter ones are padded on the right."""
    rows: int
    completion_length: int
    """The longest, T."""
    prompt_of_row: Tensor
    """`[R]` int64."""
    visible: Tensor
    """`[R or 1, 1, T, P + T]` bool: which of its prompt and of its own past each token of a completion sees."""

    @property
    def size(self) -> int:
        """Places that the prompts and then the completions take up, padding included."""
        return self.prompts * self.prompt_length + self.rows * self.completion_length

    def split(self, tensor: Tensor) -> tuple[Tensor, Tensor]:
        """`[places, heads, D]` into prompts `[Q, heads, P, D]` and completions `[R, heads, T, D]`."""
        prompts, completions = tensor.split([self.prompts * self.prompt_length, self.rows * self.completion_length])
        return (
            prompts.unflatten(0, (self.prompts, self.prompt_length)).transpose(1, 2),
            completions.unflatten(0, (self.rows, self.completion_length)).transpose(1, 2),
        )


@dataclass(frozen=True)
class PrefixLayout:
    """How a packed row of N tokens is laid out for its attention. Takes the place of transformers' attention mask."""

    batches: tuple[PrefixBatch, ...]
    place: Tensor
    """`[N]` int64: where each token stands once all batches' prompts and completions are padded and joined."""
    size: int
    """Places in all, padding included."""


def prefix_layout(row: PackedRow) -> PrefixLayout:
    """The layout of a packed row whose groups come by ascending prompt length."""
    device = row.token_ids.device
    batches, places, start = [], [], 0
    for first, last in _batches(row.prompt_lengths):
        prompts, completions = row.prompt_lengths[first:last], row.completion_lengths[first:last]
        longest = max(prompts)
        longest_completion = max(length for group in completions for length in group)
        of_row = [number for number, group in enumerate(completions) for _ in group]
        behind = start + len(prompts) * longest
        completion_number = 0
        for number, prompt in enumerate(prompts):
            places.append(start + number * longest + torch.arange(prompt))
            for length in completions[number]:
                places.append(behind + completion_number * longest_completion + torch.arange(length))
                completion_number += 1
        start = behind + len(of_row) * longest_completion
        prompt_of_row = torch.tensor(of_row)
        lengths = torch.tensor(prompts)[prompt_of_row] if min(prompts) < longest else torch.tensor([longest])
        batches.append(
            PrefixBatch(
                prompts=len(prompts),
                prompt_length=longest,
                rows=len(of_row),
                completion_length=longest_completion,
                prompt_of_row=prompt_of_row.to(device),
                visible=_visible(lengths, longest, longest_completion).to(device),
            )
        )
    return PrefixLayout(tuple(batches), torch.cat(places).to(device), start)


def _batches(prompt_lengths: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """First and last (exclusive) group of each batch."""
    cuts = [0]
    for number, length in enumerate(prompt_lengths):
        if length > PADDING * prompt_lengths[cuts[-1]]:
            cuts.append(number)
    return pairwise([*cuts, len(prompt_lengths)])


def _visible(prompt_lengths: Tensor, prompt_length: int, completion_length: int) -> Tensor:
    """`[R, 1, T, P + T]`: the real tokens of the prompt, then the completion up to and including the token itself."""
    prompt = torch.arange(prompt_length) < prompt_lengths[:, None]
    own = torch.ones(completion_length, completion_length, dtype=torch.bool).tril()
    shape = (len(prompt_lengths), completion_length)
    return torch.cat([prompt[:, None].expand(*shape, -1), own.expand(*shape, -1)], dim=-1)[:, None]


def shared_prefix_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: PrefixLayout | Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs,
) -> tuple[Tensor, None]:
    """Transformers' attention interface: queries `[1, heads, N, D]` to outputs `[1, N, heads, D]`.

    Without a `PrefixLayout` it is transformers' own `sdpa`, to the bit.
    """
    if not isinstance(attention_mask, PrefixLayout):
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    layout = attention_mask
    sizes = [batch.size for batch in layout.batches]
    padded = [_pad(tensor, layout).split(sizes) for tensor in (query, key, value)]
    outputs = [
        _batch_attention(batch, *tensors, dropout, scaling)
        for batch, *tensors in zip(layout.batches, *padded, strict=True)
    ]
    return torch.cat(outputs).index_select(0, layout.place).unsqueeze(0), None


def _pad(tensor: Tensor, layout: PrefixLayout) -> Tensor:
    """`[1, heads, N, D]` to `[places, heads, D]`, zeros in between."""
    rows = tensor[0].transpose(0, 1)
    # A sum with zeros, because its gradient is a plain look-up; places are distinct.
    return rows.new_zeros(layout.size, *rows.shape[1:]).index_add(0, layout.place, rows)


def _batch_attention(
    batch: PrefixBatch, query: Tensor, key: Tensor, value: Tensor, dropout: float, scaling: float | None
) -> Tensor:
    """Outputs `[places, heads, D]` of the prompts and completions of one batch."""
    repeats = query.shape[1] // key.shape[1]
    prompt_query, completion_query = batch.split(query)
    prompts, both = [], []
    for prompt, completion in (batch.split(key), batch.split(value)):
        prompts.append(prompt.repeat_interleave(repeats, dim=1))
        joined = torch.cat([prompt.index_select(0, batch.prompt_of_row), completion], dim=2)
        both.append(joined.repeat_interleave(repeats, dim=1))
    attend = partial(scaled_dot_product_attention, dropout_p=dropout, scale=scaling)
    of_prompts = attend(prompt_query, *prompts, is_causal=True)
    of_completions = attend(completion_query, *both, attn_mask=batch.visible)
    return torch.cat([part.transpose(1, 2).flatten(0, 1) for part in (of_prompts, of_completions)])


def shared_prefix_flex_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: BlockMask | Tensor | None,
    **kwargs,
) -> tuple[Tensor, Tensor | None]:
    """Transformers' `flex_attention`, also under autocast.

    There the rotary embedding makes queries and keys float32 while values are in the lower precision. Autocast casts
    them for SDPA, but not for FlexAttention in every release of torch (pytorch/pytorch#165468); 2.13 does.
    """
    device = value.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else value.dtype
    query, key, value = (tensor.to(dtype) for tensor in (query, key, value))
    return flex_attention_forward(module, query, key, value, attention_mask, **kwargs)


def block_mask(row: PackedRow) -> BlockMask:
    """What `shared_prefix_attention` computes, as a mask for FlexAttention: `[N, N]` in blocks."""
    device = row.token_ids.device
    # Every prompt and every completion is a segment of its own; a completion also sees its prompt's segment.
    segments, lengths, prompts = [], [], []
    for prompt, completions in zip(row.prompt_lengths, row.completion_lengths, strict=True):
        prompts += [len(lengths)] * (1 + len(completions))
        lengths += [prompt, *completions]
    segments = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths)).to(device)
    prompt_of_token = torch.tensor(prompts).to(device)[segments]

    def visible(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        same, prompt = segments[key] == segments[query], segments[key] == prompt_of_token[query]
        return (key <= query) & (same | prompt)

    size = len(segments)
    # Compiled, it never holds the whole [N, N] mask: 4 GB at 65,536 tokens.
    build = torch.compile(create_block_mask) if device.type == "cuda" else create_block_mask
    return build(visible, None, None, size, size, device=device)


AttentionInterface.register(SHARED_PREFIX_SDPA, shared_prefix_attention)
AttentionMaskInterface.register(SHARED_PREFIX_SDPA, sdpa_mask)
AttentionInterface.register(SHARED_PREFIX_FLEX, shared_prefix_flex_attention)
AttentionMaskInterface.register(SHARED_PREFIX_FLEX, flex_attention_mask)
