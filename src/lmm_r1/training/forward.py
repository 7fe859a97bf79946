"""One step's experience as the policy and its reference read it: packed rows, prompts and images once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lmm_r1.models.group_logprobs import group_statistics
from lmm_r1.models.image_features import ImageFeatures, base_model
from lmm_r1.models.logprobs import TokenStatistics
from lmm_r1.models.packing import PromptGroup, fill_rows
from lmm_r1.types import Experience


class ExperienceForward:
    """Scores the completions of an `Experience`. Made anew for every step: image features go with it."""

    def __init__(self, experience: Experience, *, temperature: float, banned: Tensor, micro_batch_tokens: int) -> None:
        """Args: as in `completion_statistics`; `micro_batch_tokens` as in `AlgorithmSettings`."""
        self._experience, self._temperature, self._banned = experience, temperature, banned
        self._micro_batch_tokens = micro_batch_tokens
        self._lengths = experience.completion_mask.sum(dim=1)
        self._prompt_lengths = [len(ids) for ids in experience.prompt_ids]
        self._features = ImageFeatures(experience.pixel_values, experience.image_grid_thw)

    def micro_batches(self, rows: Tensor) -> list[Tensor]:
        """Positions within `rows` (ids of completions `[M]`) that go through the model together."""
        return [
            torch.tensor(positions)
            for positions in fill_rows(
                self._prompt_lengths,
                self._lengths[rows].tolist(),
                self._experience.group_index[rows].tolist(),
                self._micro_batch_tokens,
            )
        ]

    def statistics(
        self, model: nn.Module, rows: Tensor, *, with_entropy: bool, entropy_gradient: bool = False
    ) -> TokenStatistics:
        """Of the completions `rows` `[B]`, in their order, as `[B, T]` up to the longest of them."""
        experience, lengths = self._experience, self._lengths[rows]
        groups = experience.group_index[rows].tolist()
        # Side by side by group, groups by prompt length: what packing and attention want.
        order = sorted(range(len(rows)), key=lambda row: (self._prompt_lengths[groups[row]], groups[row], row))
        completions: dict[int, list[Tensor]] = {}
        for row in order:
            tokens = experience.completion_ids[rows[row], : lengths[row]]
            completions.setdefault(groups[row], []).append(tokens)
        packed = group_statistics(
            model,
            [
                PromptGroup(experience.prompt_ids[group], members, experience.image_grid_thw[group])
                for group, members in completions.items()
            ],
            self._features(base_model(model), list(completions)),
            temperature=self._temperature,
            banned=self._banned,
            with_entropy=with_entropy,
            entropy_gradient=entropy_gradient,
        )
        longest = int(lengths.max())
        # Where each sampled token belongs in [B, T], in the packed order.
        places = torch.cat([row * longest + torch.arange(int(lengths[row])) for row in order]).to(self._banned.device)

        def unpacked(values: Tensor) -> Tensor:
            padded = values.new_zeros(len(rows) * longest).index_copy(0, places, values)
            return padded.unflatten(0, (len(rows), longest))

        entropy = None if packed.entropy is None else unpacked(packed.entropy)
        return TokenStatistics(unpacked(packed.logprobs), entropy)

    @torch.no_grad()
    def logprobs(self, model: nn.Module) -> Tensor:
        """`[N, T]` on the CPU: the log-probabilities of all completions under `model`, without a gradient."""
        logprobs = torch.zeros_like(self._experience.sampler_logprobs)
        for rows in self.micro_batches(torch.arange(len(self._experience))):
            values = self.statistics(model, rows, with_entropy=False).logprobs
            logprobs[rows, : values.shape[1]] = values.cpu()
        return logprobs
