"""The operations of one update, from the lengths of what it reads and the passes that it makes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lmm_r1.models.architecture import Architecture
from lmm_r1.models.costs import Grid, head_flops, language_flops, vision_flops
from lmm_r1.training.settings import AlgorithmSettings, ModelSettings
from lmm_r1.types import Experience

TOWER_LAYERS = frozenset({"qkv", "proj", "gate_proj", "up_proj", "down_proj"})
"""Linear layers of the vision tower's blocks, where adapters may sit."""


@dataclass(frozen=True)
class StepShape:
    """The lengths of P groups. Made by `shape_of` from an experience, and by `training.plan` from expectations."""

    prompts: tuple[int, ...]
    """Tokens of each group's prompt, visual tokens included."""
    completions: tuple[tuple[int, ...], ...]
    """For each group, the tokens of its completions."""
    images: tuple[tuple[Grid, ...], ...]
    """For each group, the patches of its images."""

    @property
    def completion_tokens(self) -> int:
        return sum(map(sum, self.completions))

    @property
    def shared_tokens(self) -> int:
        """Each prompt once and its completions."""
        return sum(self.prompts) + self.completion_tokens

    @property
    def shared_pairs(self) -> int:
        """Tokens that attention compares: a prompt with itself, a completion with its prompt and itself."""
        return sum(
            prompt**2 + sum(length * (prompt + length) for length in lengths)
            for prompt, lengths in zip(self.prompts, self.completions, strict=True)
        )

    @property
    def repeated_tokens(self) -> int:
        """A prompt before every completion."""
        return self.completion_tokens + sum(
            prompt * len(lengths) for prompt, lengths in zip(self.prompts, self.completions, strict=True)
        )

    @property
    def patches(self) -> int:
        return sum(frames * rows * columns for images in self.images for frames, rows, columns in images)


@dataclass(frozen=True)
class Passes:
    """What an update sends through the models."""

    gradient: int
    """Passes with a gradient over the rollout."""
    old: bool
    """Whether the policy scores the rollout before its first step."""
    reference: bool
    critic: str | None
    """`own`: a model of its own; `shared`: the policy's hidden states; None: no critic."""
    adapters: bool
    """Whether the language model's own weights take no gradient."""
    vision_trained: bool
    checkpointing: bool


def shape_of(experience: Experience) -> StepShape:
    lengths = experience.completion_mask.sum(dim=1).tolist()
    groups: list[list[int]] = [[] for _ in experience.prompt_ids]
    for group, length in zip(experience.group_index.tolist(), lengths, strict=True):
        groups[group].append(length)
    grids = [() if grid is None else tuple(map(tuple, grid.tolist())) for grid in experience.image_grid_thw]
    return StepShape(
        prompts=tuple(len(ids) for ids in experience.prompt_ids),
        completions=tuple(map(tuple, groups)),
        images=tuple(grids),
    )


def passes_of(model: ModelSettings, algorithm: AlgorithmSettings) -> Passes:
    penalised = algorithm.kl_in == "reward" and algorithm.kl_coef != 0
    on_policy = algorithm.mini_batches == 1 and algorithm.inner_epochs == 1
    critic = algorithm.critic
    return Passes(
        gradient=algorithm.inner_epochs,
        old=penalised or not on_policy,
        reference=algorithm.kl_coef != 0,
        critic=None if critic is None else "own" if critic.own_model else "shared",
        adapters=model.lora is not None,
        vision_trained=trains_vision(model),
        checkpointing=model.gradient_checkpointing,
    )


def trains_vision(model: ModelSettings) -> bool:
    """Whether anything in the vision tower takes a gradient."""
    return not model.freeze_vision and (model.lora is None or bool(TOWER_LAYERS & set(model.lora.target_modules)))


def update_flops(model: Architecture, shape: StepShape, passes: Passes, *, recomputed: bool) -> dict[str, int]:
    """Operations by purpose: `policy`, `old`, `reference`, `critic`; those that are not made are left out.

    A backward pass costs two forward passes; one where only adapters learn, whose own work is left out. A frozen tower
    sees an image once.

    Args:
        recomputed: with what the backward pass computes again to save memory: layers under checkpointing, and the
            logits always. Utilisation is of the operations without them (PaLM, arXiv 2204.02311, section 4.1).
    """
    back = 1 if passes.adapters else 2
    layers_again = int(recomputed and passes.checkpointing)
    language = language_flops(model.text, shape.shared_tokens, shape.shared_pairs)
    head = head_flops(model.text, shape.completion_tokens)
    vision = vision_flops(model.vision, _flat(shape.images))
    step = (1 + back + layers_again) * language + (1 + back + recomputed) * head
    if passes.vision_trained:
        flops = {"policy": passes.gradient * (step + (1 + back + layers_again) * vision)}
    else:
        flops = {"policy": passes.gradient * step + vision}
    without_gradient = language + head + (vision if passes.vision_trained else 0)
    if passes.old:
        flops["old"] = without_gradient
    if passes.reference:
        flops["reference"] = without_gradient
    if passes.critic is not None:
        # It shares a frozen tower with the policy, which has seen the images.
        trunk = language + (vision if passes.vision_trained else 0)
        with_gradient = 1 + back + layers_again if passes.critic == "own" else 1
        flops["critic"] = (1 + passes.gradient * with_gradient) * trunk
    return flops


def _flat(images: Iterable[Iterable[Grid]]) -> list[Grid]:
    return [image for group in images for image in group]
