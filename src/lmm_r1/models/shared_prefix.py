"""Attention over a packed row: a completion sees its own past and its prompt, and nothing else.

Two ways to the same numbers, each registered with transformers. Everywhere `SHARED_PREFIX_SDPA`, torch's SDPA on the
prompts and on the completions apart; on a GPU also `SHARED_PREFIX_FLEX`, FlexAttention (arXiv 2412.05496) with a block
mask. SDPA copies each prompt's keys and values once for every completion and pads to the longest of like length;
FlexAttention does neither, and must compile its kernels first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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

PROMPT_PADDING = 1.25
"""How much longer than the shortest prompt of a batch the longest may be; beyond, a batch of its own costs less."""
COMPLETION_PADDING = 1.5
"""Likewise for completions, whose lengths differ more, and of which"""
SHORT_COMPLETION = 4
"""so many tokens are always padded: what is computed in vain is less than what another batch costs."""


@dataclass(frozen=True)
class CompletionBatch:
    """R completions of like length behind the prompts of one `PrefixBatch`."""

    members: tuple[int, ...]
    """Which of the batch's completions, counted in the order of the packed row."""
    length: int
    """The longest, T: shorter ones are padded on the right."""
    prompt_of_row: Tensor
    """`[R]` int64."""
    visible: Tensor
    """`[R or 1, 1, T, P + T]` bool: which of its prompt and of its own past each token of a completion sees."""


@dataclass(frozen=True)
class PrefixBatch:
    """Groups of like prompt length, whose attention is computed together."""

    prompts: int
    """Q."""
    prompt_length: int
    """The longest, P: shorter ones are padded on the right."""
    completions: tuple[CompletionBatch, ...]

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Rows and length of the prompts and then of each batch of completions, as they stand one behind the other."""
        return [(self.prompts, self.prompt_length), *((len(batch.members), batch.length) for batch in self.completions)]

    @property
    def size(self) -> int:
        """Places that all of them take up, padding included."""
        return sum(rows * length for rows, length in self.shapes)

    def split(self, tensor: Tensor) -> list[Tensor]:
        """`[places, heads, D]` into `[rows, heads, length, D]` for each of `shapes`."""
        parts = tensor.split([rows * length for rows, length in self.shapes])
        return [part.unflatten(0, shape).transpose(1, 2) for part, shape in zip(parts, self.shapes, strict=True)]


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
    batches, places, size = [], [], 0
    for first, last in _prompt_batches(row.prompt_lengths):
        prompts, groups = row.prompt_lengths[first:last], row.completion_lengths[first:last]
        batch = _prefix_batch(prompts, groups, device)
        batches.append(batch)
        places.append(size + _places(prompts, groups, batch))
        size += batch.size
    return PrefixLayout(tuple(batches), torch.cat(places).to(device), size)


def _prefix_batch(prompts: Sequence[int], groups: Sequence[Sequence[int]], device: torch.device) -> PrefixBatch:
    """Args: `groups`: the lengths of each prompt's completions."""
    longest = max(prompts)
    lengths = [length for group in groups for length in group]
    prompt_of = torch.tensor([number for number, group in enumerate(groups) for _ in group])
    completions = []
    for members in _completion_batches(lengths):
        prompt_of_row = prompt_of[list(members)]
        seen = torch.tensor(prompts)[prompt_of_row] if min(prompts) < longest else torch.tensor([longest])
        visible = _visible(seen, longest, lengths[members[0]])
        completions.append(CompletionBatch(members, lengths[members[0]], prompt_of_row.to(device), visible.to(device)))
    return PrefixBatch(len(prompts), longest, tuple(completions))


def _places(prompts: Sequence[int], groups: Sequence[Sequence[int]], batch: PrefixBatch) -> Tensor:
    """Where each token of the groups stands in `batch`: each prompt and its completions, one group after another."""
    begins_of_prompts = range(0, len(prompts) * batch.prompt_length, batch.prompt_length)
    begins, start = {}, len(prompts) * batch.prompt_length
    for completions in batch.completions:
        for member in completions.members:
            begins[member], start = start, start + completions.length
    places, member = [], 0
    for begin, prompt, group in zip(begins_of_prompts, prompts, groups, strict=True):
        places.append(begin + torch.arange(prompt))
        for length in group:
            places.append(begins[member] + torch.arange(length))
            member += 1
    return torch.cat(places)


def _prompt_batches(lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last (exclusive) group of each batch."""
    cuts = [0]
    for number, length in enumerate(lengths):
        if length > PROMPT_PADDING * lengths[cuts[-1]]:
            cuts.append(number)
    return pairwise([*cuts, len(lengths)])


def _completion_batches(lengths: Sequence[int]) -> list[tuple[int, ...]]:
    """The completions of each batch, the longest first."""
    longest_first = sorted(range(len(lengths)), key=lambda number: (-lengths[number], number))
    cuts = [0]
    for position, number in enumerate(longest_first):
        if COMPLETION_PADDING * lengths[number] + SHORT_COMPLETION < lengths[longest_first[cuts[-1]]]:
            cuts.append(position)
    return [tuple(longest_first[first:last]) for first, last in pairwise([*cuts, len(longest_first)])]


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
    # Several heads of queries share one of keys. torch's kernel for CPUs reads that one; of those for GPUs only the
    # one that takes no mask does, so there each gets a copy.
    on_cpu = query.device.type == "cpu"
    copies = 1 if on_cpu else query.shape[1] // key.shape[1]
    attend = partial(scaled_dot_product_attention, dropout_p=dropout, scale=scaling, enable_gqa=on_cpu)

    def seen(prompt: Tensor, completion: Tensor, of: CompletionBatch) -> Tensor:
        both = torch.cat([prompt.index_select(0, of.prompt_of_row), completion], dim=2)
        return both.repeat_interleave(copies, dim=1)

    (prompt_query, *queries), (prompt_key, *keys), (prompt_value, *values) = map(batch.split, (query, key, value))
    outputs = [
        attend(
            prompt_query,
            prompt_key.repeat_interleave(copies, dim=1),
            prompt_value.repeat_interleave(copies, dim=1),
            is_causal=True,
        )
    ]
    for of, own_query, own_key, own_value in zip(batch.completions, queries, keys, values, strict=True):
        both = seen(prompt_key, own_key, of), seen(prompt_value, own_value, of)
        outputs.append(attend(own_query, *both, attn_mask=of.visible))
    return torch.cat([output.transpose(1, 2).flatten(0, 1) for output in outputs])


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
