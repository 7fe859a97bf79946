"""Stored groups of completions, as both trainers take them: ours as records, TRL's through `rollout_func`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import ProcessorMixin

from lmm_r1.data.synthetic import SyntheticDataset
from lmm_r1.models.prompts import render_prompt
from lmm_r1.types import IMAGE_MARKER, Completion, Group, Problem, Score

LONGEST = 12
"""Tokens of the longest completion."""


def scored_groups(
    processor: ProcessorMixin, count: int, samples: int, renderings: Sequence[str] = ("text_only",)
) -> list[Group]:
    """Groups of random tokens, lengths and rewards; the rewards of every third group are all alike."""
    data = SyntheticDataset("train", count, ["chain"], list(renderings), (3, 4), 84, seed=1)
    generator = torch.Generator().manual_seed(1)

    def number(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    groups = []
    for index in range(count):
        problem = data[index]
        prompt = processor(text=[render_prompt(processor, problem, None)], images=list(problem.images) or None)
        completions, scores = [], []
        for _ in range(samples):
            length = number(2, LONGEST + 1)
            ids = tuple(number(20, 200) for _ in range(length))
            completions.append(Completion(ids, (0.0,) * length, "", "stop", 0))
            accuracy, kept = (1.0, 1.0) if index % 3 == 0 else (number(0, 4) / 2, float(number(0, 2)))
            scores.append(Score(accuracy + kept, {"accuracy": accuracy, "format": kept}, False, ""))
        groups.append(Group(problem, tuple(prompt["input_ids"][0]), completions, scores))
    return groups


def rollouts_of(groups: Sequence[Group], prompts: int) -> list[list[Group]]:
    """The groups of each rollout of `prompts` problems."""
    return [list(groups[start : start + prompts]) for start in range(0, len(groups), prompts)]


def question_for_trl(problem: Problem) -> dict[str, Any]:
    """A row of TRL's data set. TRL puts pictures before the text, where the marker stands here."""
    content = problem.question.removeprefix(IMAGE_MARKER)
    assert IMAGE_MARKER not in content
    row: dict[str, Any] = {"prompt": [{"role": "user", "content": content}]}
    return row | ({"images": list(problem.images)} if problem.images else {})


def replay_for_trl(groups: Sequence[Group], prompts: int) -> Callable[..., dict[str, list[Any]]]:
    """TRL's `rollout_func`: the next stored rollout. What a term of the reward gave travels with each completion."""
    rollouts = iter(rollouts_of(groups, prompts))

    def replay(asked: list[Any], trainer: Any) -> dict[str, list[Any]]:
        groups = next(rollouts)
        answers = [(completion, score) for group in groups for completion, score in pairs(group)]
        assert len(asked) == len(answers)
        return {
            "prompt_ids": [list(group.prompt_ids) for group in groups for _ in group.completions],
            "completion_ids": [list(completion.token_ids) for completion, _ in answers],
            "logprobs": [list(completion.logprobs) for completion, _ in answers],
            "reward": [score.reward for _, score in answers],
            "accuracy": [score.breakdown["accuracy"] for _, score in answers],
            "format": [score.breakdown["format"] for _, score in answers],
        }

    return replay


def pairs(group: Group) -> list[tuple[Completion, Score]]:
    return list(zip(group.completions, group.scores, strict=True))


def stored(term: str) -> Callable[..., list[float]]:
    """TRL's reward function that gives what was stored under `term`."""

    def reward(**columns: Any) -> list[float]:
        return columns[term]

    reward.__name__ = term
    return reward


def arguments_for_trl(folder: Path, *, completions: int, **settings: Any) -> dict[str, Any]:
    """Of `GRPOConfig` and `RLOOConfig`: one rollout of `completions` a step, in order, on a CPU, in float32."""
    return {
        "output_dir": str(folder),
        "use_cpu": True,
        "bf16": False,
        "per_device_train_batch_size": completions,
        "max_completion_length": LONGEST,
        "shuffle_dataset": False,
        "gradient_checkpointing": False,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        **settings,
    }
