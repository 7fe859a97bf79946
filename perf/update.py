"""The update phase alone: packed rows with shared prompts against a padded batch of whole sequences.

    PYTHONPATH=src python perf/update.py [--runs 5] [--quick] > perf/results/update.md

Both compute the same loss and the same gradients with the same weights: the shipped tiny model, or for memory one
with random weights and Qwen's vocabulary. "Padded" is `models.logprobs.completion_statistics`, one group a
micro-batch, its fastest; "packed" is what training runs, `training.forward.ExperienceForward`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from PIL import Image
from torch import nn

from lmm_r1.models.loading import load_policy, load_processor
from lmm_r1.models.logprobs import completion_statistics
from lmm_r1.models.prompts import banned_token_ids, render_prompt
from lmm_r1.training.forward import ExperienceForward
from lmm_r1.types import Experience, Problem

REPOSITORY = Path(__file__).resolve().parent.parent
TINY = REPOSITORY / "models" / "tiny"
MICRO_BATCH_TOKENS = 8192
QWEN_VOCABULARY = 151_936


class Workload:
    """A model and an experience of random tokens: P prompts of a given length, G completions of T tokens each."""

    def __init__(self, prompts: int, samples: int, prompt_tokens: int, new_tokens: int, side: int | None) -> None:
        """`side`: of one square picture in each prompt, in pixels; its visual tokens are part of `prompt_tokens`."""
        self.processor = load_processor(str(TINY), None, None)
        self.model = load_policy(str(TINY), "float32")
        self.banned = torch.tensor(banned_token_ids(self.processor))
        self.prompts, self.samples = prompts, samples
        random = torch.Generator().manual_seed(0)

        def tokens(*shape: int) -> torch.Tensor:
            return torch.randint(20, 400, shape, generator=random)

        heads, pixels, grids = zip(*(self._head(side, seed) for seed in range(prompts)), strict=True)
        rows = prompts * samples
        self.experience = Experience(
            prompt_ids=[torch.cat([head, tokens(max(0, prompt_tokens - len(head)))]) for head in heads],
            pixel_values=list(pixels),
            image_grid_thw=list(grids),
            group_index=torch.arange(prompts).repeat_interleave(samples),
            completion_ids=tokens(rows, new_tokens),
            completion_mask=torch.ones(rows, new_tokens, dtype=torch.bool),
            sampler_logprobs=torch.zeros(rows, new_tokens),
            advantages=torch.randn(rows, generator=random),
        )

    def _head(self, side: int | None, seed: int) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """The beginning of a prompt: its picture, or nothing."""
        if side is None:
            return torch.empty(0, dtype=torch.long), None, None
        picture = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
        problem = Problem(id="perf", question="<image>", answer="", images=(Image.fromarray(picture),))
        text = render_prompt(self.processor, problem, None)
        inputs = self.processor(text=[text], images=list(problem.images), return_tensors="pt")
        return inputs["input_ids"][0], inputs["pixel_values"], inputs["image_grid_thw"]

    def packed(self) -> None:
        forward = ExperienceForward(
            self.experience, temperature=1.0, banned=self.banned, micro_batch_tokens=MICRO_BATCH_TOKENS
        )
        rows = torch.arange(len(self.experience))
        for micro in forward.micro_batches(rows):
            self._backward(forward.statistics(self.model, micro, with_entropy=True).logprobs, micro)

    def padded(self) -> None:
        experience = self.experience
        for group in range(self.prompts):
            rows = (experience.group_index == group).nonzero().squeeze(-1)
            pixels, grid = experience.pixel_values[group], experience.image_grid_thw[group]
            scored = completion_statistics(
                self.model,
                [experience.prompt_ids[group]] * self.samples,
                experience.completion_ids[rows],
                experience.completion_mask[rows],
                None if pixels is None else pixels.repeat(self.samples, 1),
                None if grid is None else grid.repeat(self.samples, 1),
                temperature=1.0,
                banned=self.banned,
            )
            self._backward(scored.logprobs, rows)

    def _backward(self, logprobs: torch.Tensor, rows: torch.Tensor) -> None:
        ratio = (logprobs - logprobs.detach()).exp()
        (-ratio * self.experience.advantages[rows, None]).mean().backward()

    def gradients(self, update: Callable[[], None]) -> dict[str, torch.Tensor]:
        update()
        gradients = {name: p.grad for name, p in self.model.named_parameters() if p.grad is not None}
        self.model.zero_grad()
        return gradients

    def difference(self) -> float:
        """The largest difference of the two gradients, relative to the largest entry."""
        ours, plain = self.gradients(self.packed), self.gradients(self.padded)
        largest = max(float(gradient.abs().max()) for gradient in plain.values())
        return max(float((ours[name] - plain[name]).abs().max()) for name in plain) / largest

    def seconds(self, update: Callable[[], None]) -> float:
        begin = time.perf_counter()
        update()
        self.model.zero_grad()
        return time.perf_counter() - begin


def compare(name: str, workload: Workload, runs: int) -> str:
    """One row of the table: medians of alternating runs."""
    difference = workload.difference()
    times = [(workload.seconds(workload.packed), workload.seconds(workload.padded)) for _ in range(runs)]
    packed, padded = (statistics.median(column) for column in zip(*times, strict=True))
    ratios = sorted(slow / fast for fast, slow in times)
    return (
        f"| {name} | {packed * 1e3:.0f} ms | {padded * 1e3:.0f} ms | **{padded / packed:.1f}** "
        f"({ratios[0]:.1f}–{ratios[-1]:.1f}) | {difference:.0e} |"
    )
