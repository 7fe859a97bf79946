"""A small benchmark: sums in two renderings, an engine that answers from a script, a scorer that compares numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PIL import Image
from torch import Tensor

from lmm_r1.types import Completion, Group, Problem, Sampling, Score


class Sums:
    """`latents` sums, each as text only and as vision only, as a map-style data set."""

    def __init__(self, latents: int) -> None:
        self.latents = latents

    def __len__(self) -> int:
        return 2 * self.latents

    def __getitem__(self, index: int) -> Problem:
        number, rendering = divmod(index, 2)
        family = "odd" if number % 2 else "even"
        name = ("text_only", "vision_only")[rendering]
        picture = (Image.new("RGB", (28, 28), (number, 0, 0)),) if rendering else ()
        return Problem(
            id=f"{family}-{number}/{name}",
            question="<image>" if rendering else f"{number} + {number} = ?",
            answer=str(2 * number),
            answer_type="number",
            images=picture,
            source="sums",
            family=family,
            rendering=name,
        )


class ScriptedEngine:
    """Right on text; on pictures in every second sample. Counts what it was asked, and can stop after some calls."""

    def __init__(self, calls_before_interruption: int = 10**6) -> None:
        self.asked: list[str] = []
        self.seeds: list[int] = []
        self.calls_left = calls_before_interruption

    def load_weights(self, state_dict: Mapping[str, Tensor], version: int) -> None:
        raise AssertionError("an evaluation does not change the weights")

    def generate(self, problems: Sequence[Problem], sampling: Sampling, seeds: Sequence[int]) -> list[Group]:
        if self.calls_left == 0:
            raise KeyboardInterrupt
        self.calls_left -= 1
        self.asked += [problem.id for problem in problems]
        self.seeds += seeds
        return [
            Group(problem, (1, 2), [self._answer(problem, sample) for sample in range(sampling.samples)])
            for problem in problems
        ]

    def _answer(self, problem: Problem, sample: int) -> Completion:
        right = problem.rendering == "text_only" or sample % 2 == 0
        answer = problem.answer if right else "none"
        return Completion((3, 4, 5), (-0.1, -0.2, -0.3), f"<answer>{answer}</answer>", "stop", 0)

    def close(self) -> None:
        pass


class ExactScorer:
    """1 for the gold answer, and a format term."""

    def score_groups(self, groups: Sequence[Group]) -> list[list[Score]]:
        return [[_exact(group.problem, completion) for completion in group.completions] for group in groups]


class HarshScorer:
    """A changed reward: nothing is right, and there is no format term."""

    def score_groups(self, groups: Sequence[Group]) -> list[list[Score]]:
        return [[Score(0.0, {"accuracy": 0.0}, False, "wrong") for _ in group.completions] for group in groups]


def _exact(problem: Problem, completion: Completion) -> Score:
    correct = completion.text == f"<answer>{problem.answer}</answer>"
    return Score(float(correct), {"accuracy": float(correct), "format": 1.0}, correct, "ok" if correct else "wrong")
