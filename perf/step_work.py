"""One training step's work, the same for every contender, and how a contender takes its turn."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from PIL.Image import Resampling

from lmm_r1.data.synthetic import SyntheticDataset
from lmm_r1.models.prompts import render_prompt
from lmm_r1.rewards.accuracy import AnswerAccuracy
from lmm_r1.rewards.compose import RewardSum
from lmm_r1.rewards.format import format_reward
from lmm_r1.types import Completion, Group, Problem

if TYPE_CHECKING:
    from transformers import ProcessorMixin

ANSWER = "TURN "
"""Begins the line in which a contender says what its turn took."""


@dataclass(frozen=True)
class Work:
    """What a contender is told, as JSON on its command line."""

    model: str
    """The folder of the starting weights."""
    prompts: int
    samples: int
    new_tokens: int
    """The most that a completion may have."""
    side: int | None
    """Of the square picture in each prompt, in pixels; None for text."""
    replayed: bool
    """Whether completions are given, all of `new_tokens` random tokens, so that a step is the update alone."""
    turns: int
    micro_batch: int
    """TRL's completions in one forward and backward pass; ours counts tokens, as its configuration says."""
    threads: int

    @classmethod
    def told(cls) -> Work:
        parser = argparse.ArgumentParser()
        parser.add_argument("work", help="JSON")
        return cls(**json.loads(parser.parse_args().work))

    def text(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    def problems(self) -> list[Problem]:
        """One turn's problems; every turn asks the same."""
        rendering = "text_only" if self.side is None else "vision_only"
        data = SyntheticDataset("train", self.prompts, ["chain", "shape"], [rendering], (2, 4), 84, seed=0)
        return [self._enlarged(data[index]) for index in range(self.prompts)]

    def _enlarged(self, problem: Problem) -> Problem:
        size = (self.side, self.side)
        images = tuple(image.resize(size, Resampling.NEAREST) for image in problem.images)
        return dataclasses.replace(problem, images=images)

    def given_groups(self, processor: ProcessorMixin) -> list[Group]:
        random = torch.Generator().manual_seed(0)
        groups = []
        for problem in self.problems():
            text = render_prompt(processor, problem, None)
            prompt = processor(text=[text], images=list(problem.images) or None)["input_ids"][0]
            tokens = torch.randint(20, 250, (self.samples, self.new_tokens), generator=random).tolist()
            completions = [Completion(tuple(row), (0.0,) * len(row), "", "length", 0) for row in tokens]
            groups.append(Group(problem, tuple(prompt), completions))
        return groups

    def given_rewards(self) -> list[list[float]]:
        """`[P, G]`."""
        random = torch.Generator().manual_seed(1)
        return torch.randint(0, 2, (self.prompts, self.samples), generator=random).float().tolist()


def reward() -> RewardSum:
    """The same for all: accuracy and half the format, the default of `conf/reward`."""
    return RewardSum(AnswerAccuracy(workers=1), {"accuracy": 1.0, "format": 0.5}, {"format": format_reward})


def prepare(work: Work) -> None:
    torch.set_num_threads(work.threads)
    torch.set_flush_denormal(True)


class Turns:
    """A contender's side of the pipe: waits for its turn and says what it took.

    In seconds of this process's processor time, which other work on the machine disturbs less than a clock on the wall.
    """

    def __init__(self) -> None:
        # What libraries print must not stand between the lines that the referee reads.
        self._answers, sys.stdout = sys.stdout, sys.stderr
        self._begin, self._begin_on_wall, self.seconds = 0.0, 0.0, {}

    def wait(self) -> None:
        sys.stdin.readline()
        self.seconds, self._begin, self._begin_on_wall = {}, time.process_time(), time.perf_counter()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        begin = time.process_time()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - begin

    def report(self, tokens: int) -> None:
        """What the turn took, and how many tokens were sampled in it."""
        whole = {"step": time.process_time() - self._begin, "wall": time.perf_counter() - self._begin_on_wall}
        seconds = self.seconds | whole
        print(ANSWER + json.dumps({"seconds": seconds, "tokens": tokens}), file=self._answers, flush=True)


def parameters_of(folder: Path) -> int:
    from safetensors import safe_open

    with safe_open(folder / "model.safetensors", "pt") as file:
        return sum(torch.Size(file.get_slice(name).get_shape()).numel() for name in file.keys())  # noqa: SIM118
