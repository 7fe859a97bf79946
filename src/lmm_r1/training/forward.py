"""One step's experience as the policy and its reference read it: packed rows, prompts and images once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lmm_r1.models.group_logprobs import group_statistics
from lmm_r1.models.image_features import ImageFeatures
from lmm_r1.models.logprobs import TokenStatistics
from lmm_r1.models.packed_model import trunk_of
from lmm_r1.models.packing import PromptGroup, fill_rows
from lmm_r1.models.value_model import ValueModel
from lmm_r1.types import Experience


@dataclass(frozen=True)
class Packed:
    """Some completions of an experience as the models read them, and the way back."""

    numbers: list[int]
    """Of the groups within the experience, in the order of packing."""
    groups: list[PromptGroup]
    shape: tuple[int, int]
    """B completions, T tokens of the longest."""
    places: Tensor
    """`[S]` int64: where each sampled token, in the order of packing, belongs in `[B, T]`."""

    def unpack(self, values: Tensor) -> Tensor:
        """`[S]` to `[B, T]`, 0 on padding."""
        rows, longest = self.shape
        padded = values.new_zeros(rows * longest).index_copy(0, self.places.to(values.device), values)
        return padded.unflatten(0, self.shape)


class ExperienceForward:
    """Scores the completions of an `Experience`, by a policy or by a critic.

    Made anew for every step: image features go with it.
    """

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
        packed = self._packed(rows)
        found = group_statistics(
            model,
            packed.groups,
            self._features(trunk_of(model), packed.numbers),
            temperature=self._temperature,
            banned=self._banned,
            with_entropy=with_entropy,
            entropy_gradient=entropy_gradient,
        )
        entropy = None if found.entropy is None else packed.unpack(found.entropy)
        return TokenStatistics(packed.unpack(found.logprobs), entropy)

    def values(self, critic: ValueModel, rows: Tensor) -> Tensor:
        """`[B, T]`, 0 on padding: what the critic expects at each token of the completions `rows`."""
        packed = self._packed(rows)
        with critic.trunk_gradient():
            features = self._features(critic.reads, packed.numbers)
        return packed.unpack(critic(packed.groups, features))

    def _packed(self, rows: Tensor) -> Packed:
        experience, lengths = self._experience, self._lengths[rows]
        groups = experience.group_index[rows].tolist()
        # Side by side by group, groups by prompt length: what packing and attention want.
        order = sorted(range(len(rows)), key=lambda row: (self._prompt_lengths[groups[row]], groups[row], row))
        completions: dict[int, list[Tensor]] = {}
        for row in order:
            tokens = experience.completion_ids[rows[row], : lengths[row]]
            completions.setdefault(groups[row], []).append(tokens)
        longest = int(lengths.max())
        return Packed(
            numbers=list(completions),
            groups=[
                PromptGroup(experience.prompt_ids[group], members, experience.image_grid_thw[group])
                for group, members in completions.items()
            ],
            shape=(len(rows), longest),
            places=torch.cat([row * longest + torch.arange(int(lengths[row])) for row in order]),
        )

    @torch.no_grad()
    def logprobs(self, model: nn.Module) -> Tensor:
        """`[N, T]` on the CPU: the log-probabilities of all completions under `model`, without a gradient."""
        logprobs = torch.zeros_like(self._experience.sampler_logprobs)
        for rows in self.micro_batches(torch.arange(len(self._experience))):
            values = self.statistics(model, rows, with_entropy=False).logprobs
            logprobs[rows, : values.shape[1]] = values.cpu()
        return logprobs
