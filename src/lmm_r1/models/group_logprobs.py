"""Log-probabilities of groups of completions: what `logprobs.completion_statistics` says, at a fraction of the work."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lmm_r1.models.logprobs import TokenStatistics
from lmm_r1.models.packed_model import packed_hidden_states, trunk_of
from lmm_r1.models.packing import PromptGroup
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

    Args:
        model: a Qwen2.5-VL from `load_policy`; PEFT's wrapper will do.
        groups, image_features: see `packed_hidden_states`.
        temperature: what the sampler divided its logits by, above 0.
        banned: ids `[K]` that the sampler never draws: they take no part in the softmax.
        with_entropy: whether to compute the entropy of each token's distribution as well.
        entropy_gradient: whether that entropy carries a gradient.

    Returns:
        statistics whose shape is not `[B, T]` but `[S]`: the S sampled tokens of all groups in order.

    Raises `ValueError` for temperature 0, for a banned id among the sampled ones, for a head that is not a plain linear
    layer, and as `packed_hidden_states` does.
    """
    if temperature <= 0:
        raise ValueError(f"log-probabilities need a temperature above 0, got {temperature}: greedy has none")
    head = model.get_output_embeddings()
    if type(head) is not nn.Linear:
        raise ValueError(f"the head is a {type(head).__name__}: adapters on lm_head cannot be trained here")
    predicting = packed_hidden_states(trunk_of(model), groups, image_features)
    if torch.isin(predicting.sampled, banned).any():
        raise ValueError("a completion holds a banned token: the sampler must ban what the trainer bans")
    logprobs, entropy = token_logprobs(
        predicting.hidden,
        head.weight,
        predicting.sampled,
        temperature=temperature,
        banned=banned,
        with_entropy=with_entropy,
        entropy_gradient=entropy_gradient,
    )
    return TokenStatistics(logprobs, entropy)
