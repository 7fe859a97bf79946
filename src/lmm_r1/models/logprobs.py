"""Log-probabilities of sampled tokens, under the distribution that they were sampled from."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedConfig

PADDING_ID = (
    0  # behind the attention mask, so any id serves that is no image token; byte-level vocabularies begin with "!"
)


@dataclass(frozen=True)
class TokenStatistics:
    """What the policy says of each sampled token. Made by `completion_statistics`; 0 where nothing was sampled."""

    logprobs: Tensor
    """`[B, T]` float32, with gradient where the model has one."""
    entropy: Tensor | None
    """`[B, T]` float32 in nats, with gradient where that was asked for; None where not asked for at all."""


def completion_statistics(
    model: torch.nn.Module,
    prompt_ids: list[Tensor],
    completion_ids: Tensor,
    completion_mask: Tensor,
    pixel_values: Tensor | None,
    image_grid_thw: Tensor | None,
    *,
    temperature: float,
    banned: Tensor,
    with_entropy: bool = True,
    entropy_gradient: bool = False,
) -> TokenStatistics:
    """Score B completions of up to T tokens, each after its own prompt.

    Args:
        model: a Qwen2.5-VL with its head; PEFT's wrapper will do.
        prompt_ids: B prompts `[L_b]` int64, images expanded to their visual tokens.
        completion_ids: `[B, T]` int64, padded on the right with anything.
        completion_mask: `[B, T]` bool, True on the first tokens of each row.
        pixel_values: the patches of every row's images, row by row, `[patches, channels·patch volume]`; None for text.
        image_grid_thw: the patch grid of every image, in the same order, `[images, 3]`; None for text.
        temperature: what the sampler divided its logits by, above 0.
        banned: ids `[K]` that the sampler never draws: they take no part in the softmax.
        with_entropy: whether to compute the entropy of each token's distribution as well.
        entropy_gradient: whether that entropy carries a gradient, for a bonus; another `[B, T, V]` of memory.

    Raises `ValueError` for temperature 0, for a banned id among the sampled ones, and where the image tokens in the
    prompts are not as many as the images' features.
    """
    if temperature <= 0:
        raise ValueError(f"log-probabilities need a temperature above 0, got {temperature}: greedy has none")
    if torch.isin(completion_ids[completion_mask], banned).any():
        raise ValueError("a completion holds a banned token: the sampler must ban what the trainer bans")
    inputs, predicting = completion_inputs(
        model.config, prompt_ids, completion_ids, completion_mask, pixel_values, image_grid_thw
    )
    logits = model(**inputs, logits_to_keep=predicting, use_cache=False).logits
    # In place throughout: [B, T, V] is the largest tensor of the update, and one float32 copy of it is enough.
    logits = logits.float().div_(temperature).index_fill_(-1, banned, -torch.inf)
    completions = completion_ids.masked_fill(~completion_mask, PADDING_ID)
    sampled = logits.gather(-1, completions.unsqueeze(-1)).squeeze(-1)
    logprobs = torch.where(completion_mask, sampled - logits.logsumexp(-1), 0.0)
    if with_entropy and entropy_gradient:
        return TokenStatistics(logprobs, _differentiable_entropy(logits, banned, completion_mask))
    entropy = _entropy(logits.detach(), completion_mask) if with_entropy else None
    return TokenStatistics(logprobs, entropy)


def completion_inputs(
    config: PreTrainedConfig,
    prompt_ids: list[Tensor],
    completion_ids: Tensor,
    completion_mask: Tensor,
    pixel_values: Tensor | None,
    image_grid_thw: Tensor | None,
) -> tuple[dict[str, Tensor | None], Tensor]:
    """What a Qwen2.5-VL is called with on B completions, and the T positions that predict their tokens.

    The arguments are those of `completion_statistics`. Raises `ValueError` where prompts and images do not fit.
    """
    prompts, prompt_mask = _pad_on_the_left(prompt_ids)
    _check_images(config, prompts, image_grid_thw)
    completions = completion_ids.masked_fill(~completion_mask, PADDING_ID)
    prompt_length, completion_length = prompts.shape[1], completions.shape[1]
    # Token t is predicted from the position before it: the first from the prompt's last.
    predicting = torch.arange(prompt_length - 1, prompt_length + completion_length - 1, device=prompts.device)
    inputs = {
        "input_ids": torch.cat([prompts, completions], dim=1),
        "attention_mask": torch.cat([prompt_mask, completion_mask], dim=1).long(),
        # Without the token types transformers falls back to one-dimensional positions and says nothing.
        "mm_token_type_ids": torch.cat(
            [prompts == config.image_token_id, torch.zeros_like(completion_mask)], dim=1
        ).int(),
        "pixel_values": pixel_values,
        "image_grid_thw": image_grid_thw,
    }
    return inputs, predicting


def _pad_on_the_left(prompt_ids: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Prompts `[B, L]` that end together, so that all completions begin together, and the mask of their real tokens."""
    prompts = torch.nn.utils.rnn.pad_sequence(prompt_ids, True, PADDING_ID, padding_side="left")
    lengths = torch.tensor([len(ids) for ids in prompt_ids], device=prompts.device)
    from_the_end = torch.arange(prompts.shape[1], 0, -1, device=prompts.device)
    return prompts, from_the_end <= lengths.unsqueeze(1)


def _check_images(config: PreTrainedConfig, prompts: Tensor, image_grid_thw: Tensor | None) -> None:
    tokens = int((prompts == config.image_token_id).sum())
    merged = config.vision_config.spatial_merge_size**2
    features = 0 if image_grid_thw is None else int(image_grid_thw.prod(-1).sum()) // merged
    if tokens != features:
        raise ValueError(
            f"the prompts hold {tokens} image tokens and the images give {features} features: "
            "prompts and images do not belong together, or were sized differently"
        )


@torch.no_grad()
def _entropy(logits: Tensor, mask: Tensor) -> Tensor:
    """Shannon entropy in nats of each token's distribution, `[B, T]`."""
    # Row by row, so that the memory it takes is [T, V] and not [B, T, V].
    rows = [torch.special.entr(row.softmax(-1)).sum(-1) for row in logits]
    return torch.where(mask, torch.stack(rows), 0.0)


def _differentiable_entropy(logits: Tensor, banned: Tensor, mask: Tensor) -> Tensor:
    """The same as `_entropy`, with a gradient: `log Σ e^z - Σ p·z`."""
    # 0 in place of -inf for what is banned: its probability is 0, and 0·inf would make the gradient NaN.
    finite = logits.index_fill(-1, banned, 0.0)
    entropy = logits.logsumexp(-1) - (logits.softmax(-1) * finite).sum(-1)
    return torch.where(mask, entropy, 0.0)
