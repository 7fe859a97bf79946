"""The records that travel through a training step, and nothing else.

A batch passes the rooms in this order: `Problem` (data) → `Group` of `Completion` (rollout) → `Score` (rewards)
→ `Experience` (training). Four words are kept apart throughout the project: a *score* is what the verifiers say
of one completion, its *reward* is the weighted number inside the score, an *advantage* is a reward compared with
its group, and a *return* is a discounted sum of rewards, which only value-based algorithms use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lmm_r1.answer_rules import ANSWER_TYPES as ANSWER_TYPES
from lmm_r1.answer_rules import EXACT, AnswerRules

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

IMAGE_MARKER = "<image>"
"""Stands for one image inside `Problem.question`, in reading order."""

RENDERINGS = ("text_only", "text_dominant", "text_lite", "vision_dominant", "vision_only")
"""How a problem is shown, from all in the text to all in the figure (MathVerse, arXiv 2403.14624, section 2)."""


@dataclass(frozen=True)
class Problem:
    """One question with its gold answer. Made by `data`; read by every room.

    Example: `Problem(id="chain-17/text_only", question="3 + 4 - 2 = ?", answer="5", source="synthetic",
    family="chain", rendering="text_only")`.
    """

    id: str
    """Unique within its data set."""
    question: str
    """What the user asks; holds one `IMAGE_MARKER` for each image."""
    answer: str
    """The gold answer, as the source writes it."""
    answer_type: str = "math"
    """One of `ANSWER_TYPES`, or the dotted name of a judge of one's own."""
    images: tuple[Image, ...] = ()
    """Decoded RGB pictures. A data set decodes or draws them when the problem is asked for, not before."""
    choices: tuple[str, ...] = ()
    """The options of a multiple-choice problem, without their letters."""
    source: str = ""
    """The data set, e.g. `"gsm8k"`; metrics are reported for each source."""
    family: str = ""
    """The kind of problem within its source, e.g. `"chain"`."""
    rendering: str = "text_only"
    """One of `RENDERINGS`, or `"image"` where the source does not say."""
    rules: AnswerRules = EXACT
    """How near an answer must come to the gold."""


@dataclass(frozen=True)
class Outline:
    """What is known of a problem before its pictures are decoded. Made by `data`; read by the checks before a run."""

    problem: Problem
    """Without its pictures."""
    image_sizes: tuple[tuple[int, int], ...]
    """Width and height in pixels of each picture; of a photograph that is to be turned, either way round."""


@dataclass(frozen=True)
class Completion:
    """One sampled answer. Made by a rollout engine; read by rewards, training and the rollout store."""

    token_ids: tuple[int, ...]
    """The sampled tokens `[T]`, the end token included when it was sampled."""
    logprobs: tuple[float, ...]
    """The sampler's log-probability of each token `[T]`, after temperature and the ban on some tokens."""
    text: str
    """The decoded tokens without special tokens."""
    finish_reason: str
    """`"stop"` (the end token was sampled) or `"length"` (the budget ran out: truncated)."""
    weight_version: int
    """Which weights sampled it: the RL step whose policy was loaded into the engine."""

    @property
    def truncated(self) -> bool:
        return self.finish_reason == "length"


@dataclass(frozen=True)
class Score:
    """What the verifiers say of one completion. Made by `rewards`; read by the rollout callback and the reports."""

    reward: float
    """The weighted sum that the algorithm maximises."""
    breakdown: Mapping[str, float]
    """Each term before its weight, e.g. `{"accuracy": 1.0, "format": 0.0}`."""
    correct: bool
    """Whether the answer is right, whatever the weights."""
    reason: str
    """Why, in one word or a few: `"ok"`, `"wrong"`, `"no_answer"`, `"unparsable"`, `"timeout"`, …"""


@dataclass
class Group:
    """A problem with its G completions: the unit of GRPO. Made by a rollout engine; the scores are added after."""

    problem: Problem
    prompt_ids: tuple[int, ...]
    """The prompt as the engine saw it, each image expanded to its visual tokens: what is trained on."""
    completions: list[Completion]
    scores: list[Score] = field(default_factory=list)
    """Empty until scored, then one for each completion."""


@dataclass(frozen=True)
class Sampling:
    """How completions are drawn. Top-p and top-k are absent on purpose: they would bias the importance ratio."""

    samples: int
    """G, the completions of each problem."""
    temperature: float
    """0 is greedy; the trainer divides its logits by the same number."""
    max_new_tokens: int


@dataclass
class Experience:
    """The tensors of one update: N = P·G completions. Made by `training.collate`; read by the training step.

    Prompts and images are kept once for each group; a completion names its group. Rows of `completion_ids` are
    padded on the right to T.
    """

    prompt_ids: list[torch.Tensor]
    """For each of P groups, its prompt `[L_p]`, int64."""
    pixel_values: list[torch.Tensor | None]
    """For each group, its image patches `[patches, channels·patch volume]`, or None for text."""
    image_grid_thw: list[torch.Tensor | None]
    """For each group, the patch grid of each image `[images, 3]`, int64, or None for text."""
    group_index: torch.Tensor
    """`[N]` int64: the group of each completion."""
    completion_ids: torch.Tensor
    """`[N, T]` int64."""
    completion_mask: torch.Tensor
    """`[N, T]` bool: True where a token was sampled."""
    sampler_logprobs: torch.Tensor
    """`[N, T]` float32: the engine's log-probabilities."""
    advantages: torch.Tensor
    """`[N]` float32, one for each completion; where an estimator makes advantages of tokens, what it starts from."""

    def __len__(self) -> int:
        return self.completion_ids.shape[0]
