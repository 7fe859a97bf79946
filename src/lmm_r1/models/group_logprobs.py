"""Log-probabilities of groups of completions: what `logprobs.completion_statistics` says, at a fraction of the work."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import Qwen2_5_VLForConditionalGeneration

from lmm_r1.models.image_features import base_model
from lmm_r1.models.logprobs import TokenStatistics
from lmm_r1.models.packing import PackedRow, PromptGroup, pack
from lmm_r1.models.shared_prefix import SHARED_PREFIX_FLEX, SHARED_PREFIX_SDPA, block_mask, prefix_layout
from lmm_r1.models.token_logprobs import token_logprobs


def group_statistics(
    model: nn.Module,
    groups: Sequence[PromptGroup],
    image_features: Tensor | None,
    *,
    temperature: float,
    banned: Tensor,
    with_entropy: bool,
    entropy_gradient: bool = False,
) -> TokenStatistics:
    """Score the completions of `groups` in one packed row, each group's prompt computed once.

    Numbers and gradients are those of every completion behind a prompt of its own.

    Args:
        model: a Qwen2.5-VL from `load_policy`; PEFT's wrapper will do.
        groups: by ascending prompt length, on any device.
        image_features: `[visual tokens, H]`, of all groups' images in order; None for text.
        temperature: what the sampler divided its logits by, above 0.
        banned: ids `[K]` that the sampler never draws: they take no part in the softmax.
        with_entropy: whether to compute the entropy of each token's distribution as well.
        entropy_gradient: whether that entropy carries a gradient.

    Returns:
        statistics whose shape is not `[B, T]` but `[S]`: the S sampled tokens of all groups in order.

    Raises `ValueError` for temperature 0, for a banned id among the sampled ones, where image tokens and features
    differ in number, and for a head that is not a plain linear layer.
    """
    plain = base_model(model)
    if temperature <= 0:
        raise ValueError(f"log-probabilities need a temperature above 0, got {temperature}: greedy has none")
    if type(plain.lm_head) is not nn.Linear:
        raise ValueError(f"the head is a {type(plain.lm_head).__name__}: adapters on lm_head cannot be trained here")
    row = pack(groups, lambda group: _prompt_positions(plain, group)).to(plain.device)
    if torch.isin(row.sampled, banned).any():
        raise ValueError("a completion holds a banned token: the sampler must ban what the trainer bans")
    hidden = plain.model.language_model(
        inputs_embeds=_embeddings(plain, row, image_features),
        position_ids=row.position_ids[:, None],
        attention_mask={"full_attention": _attention_mask(plain, row)},
        use_cache=False,
    ).last_hidden_state[0]
    logprobs, entropy = token_logprobs(
        hidden.index_select(0, row.predicting),
        plain.lm_head.weight,
        row.sampled,
        temperature=temperature,
        banned=banned,
        with_entropy=with_entropy,
        entropy_gradient=entropy_gradient,
    )
    return TokenStatistics(logprobs, entropy)


def _prompt_positions(model: Qwen2_5_VLForConditionalGeneration, group: PromptGroup) -> Tensor:
    """`[3, L]` on the CPU: the model's own placement of text and images."""
    if group.image_grid_thw is None:
        return torch.arange(len(group.prompt_ids)).expand(3, -1)
    ids = group.prompt_ids[None]
    positions, _ = model.model.get_rope_index(
        ids, mm_token_type_ids=(ids == model.config.image_token_id).int(), image_grid_thw=group.image_grid_thw
    )
    return positions[:, 0]


def _embeddings(model: Qwen2_5_VLForConditionalGeneration, row: PackedRow, image_features: Tensor | None) -> Tensor:
    """`[1, N, H]`: words looked up, images put in their places."""
    embeddings = model.get_input_embeddings()(row.token_ids)
    visual = (row.token_ids == model.config.image_token_id).nonzero().squeeze(-1)
    features = 0 if image_features is None else len(image_features)
    if len(visual) != features:
        raise ValueError(
            f"the prompts hold {len(visual)} image tokens and the images give {features} features: "
            "prompts and images do not belong together, or were sized differently"
        )
    if image_features is not None:
        embeddings = embeddings.index_copy(0, visual, image_features.to(embeddings.dtype))
    return embeddings[None]


def _attention_mask(model: Qwen2_5_VLForConditionalGeneration, row: PackedRow) -> object:
    """What the model's attention implementation makes of a packed row."""
    implementation = model.config.text_config._attn_implementation
    if implementation == SHARED_PREFIX_SDPA:
        return prefix_layout(row)
    if implementation == SHARED_PREFIX_FLEX:
        return block_mask(row)
    raise ValueError(f"{implementation} attention cannot share a prompt: load the policy with sdpa or flex_attention")
