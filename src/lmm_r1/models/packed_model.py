"""What a Qwen2.5-VL without its head makes of groups of completions, each group's prompt computed once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from transformers import Qwen2_5_VLModel

from lmm_r1.models.packing import PackedRow, PromptGroup, pack
from lmm_r1.models.shared_prefix import SHARED_PREFIX_FLEX, SHARED_PREFIX_SDPA, block_mask, prefix_layout


class Predicting(NamedTuple):
    """The state of the model before each sampled token: `[S]` tokens of all groups in order."""

    hidden: Tensor
    """`[S, H]`, the last layer's, normalised."""
    sampled: Tensor
    """`[S]` int64: the token that follows."""


def trunk_of(model: nn.Module) -> Qwen2_5_VLModel:
    """The model without its head and without PEFT's wrapper; adapters stay in place, as parts of its layers."""
    return (model.get_base_model() if hasattr(model, "get_base_model") else model).model


def packed_hidden_states(
    trunk: Qwen2_5_VLModel, groups: Sequence[PromptGroup], image_features: Tensor | None
) -> Predicting:
    """Run `groups` as one packed row. Numbers and gradients are those of every completion behind a prompt of its own.

    Args:
        groups: by ascending prompt length, on any device.
        image_features: `[visual tokens, H]`, of all groups' images in order; None for text.

    Raises `ValueError` where image tokens and features differ in number, and for an attention that cannot share.
    """
    row = pack(groups, lambda group: _prompt_positions(trunk, group)).to(trunk.device)
    hidden = trunk.language_model(
        inputs_embeds=_embeddings(trunk, row, image_features),
        position_ids=row.position_ids[:, None],
        attention_mask={"full_attention": _attention_mask(trunk, row)},
        use_cache=False,
    ).last_hidden_state[0]
    return Predicting(hidden.index_select(0, row.predicting), row.sampled)


def _prompt_positions(trunk: Qwen2_5_VLModel, group: PromptGroup) -> Tensor:
    """`[3, L]` on the CPU: the model's own placement of text and images."""
    if group.image_grid_thw is None:
        return torch.arange(len(group.prompt_ids)).expand(3, -1)
    ids = group.prompt_ids[None]
    positions, _ = trunk.get_rope_index(
        ids, mm_token_type_ids=(ids == trunk.config.image_token_id).int(), image_grid_thw=group.image_grid_thw
    )
    return positions[:, 0]


def _embeddings(trunk: Qwen2_5_VLModel, row: PackedRow, image_features: Tensor | None) -> Tensor:
    """`[1, N, H]`: words looked up, images put in their places."""
    embeddings = trunk.get_input_embeddings()(row.token_ids)
    visual = (row.token_ids == trunk.config.image_token_id).nonzero().squeeze(-1)
    features = 0 if image_features is None else len(image_features)
    if len(visual) != features:
        raise ValueError(
            f"the prompts hold {len(visual)} image tokens and the images give {features} features: "
            "prompts and images do not belong together, or were sized differently"
        )
    if image_features is not None:
        embeddings = embeddings.index_copy(0, visual, image_features.to(embeddings.dtype))
    return embeddings[None]


def _attention_mask(trunk: Qwen2_5_VLModel, row: PackedRow) -> object:
    """What the model's attention implementation makes of a packed row."""
    implementation = trunk.config.text_config._attn_implementation
    if implementation == SHARED_PREFIX_SDPA:
        return prefix_layout(row)
    if implementation == SHARED_PREFIX_FLEX:
        return block_mask(row)
    raise ValueError(f"{implementation} attention cannot share a prompt: load the policy with sdpa or flex_attention")
