"""How the time of a training step grows as one size doubles three times and the others stay.

    PYTHONPATH=src python perf/scaling.py > perf/results/scaling.md

Every step is a whole one of ours, vLLM's sampling included, with random weights whose completions all have their full
length. The exponent is of the last doubling, where what a step costs at any size weighs least.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from random_model import build_random
from step import PHASES, alternate, versions
from step_work import Work
from update import processor_name

SHOWN = ("step", "sampling", "update")
SIDES = (224, 308, 448, 616)
"""Pixels of the square pictures with 64, 121, 256 and 484 tokens: about twice as many from one to the next."""


@dataclass(frozen=True)
class Growth:
    """One size that grows, and what it is in each of the steps."""

    name: str
    field: str
    values: tuple[int, ...]

    @property
    def factors(self) -> list[float]:
        """By how much the work that the name means has grown since the first."""
        of = [(side // 28) ** 2 for side in self.values] if self.field == "side" else self.values
        return [value / of[0] for value in of]

    def exponent(self, times: Sequence[float]) -> float:
        """Of the last doubling: 1 where the time grows as the size does."""
        return math.log(times[-1] / times[-2]) / math.log(self.factors[-1] / self.factors[-2])


def doubled(first: int, times: int) -> tuple[int, ...]:
    return tuple(first * 2**power for power in range(times + 1))


def seconds(work: Work, scratch: Path) -> dict[str, float]:
    """Medians of processor time, by phase."""
    turns = alternate(work, None, scratch)["ours"]
    return {phase: statistics.median(turn[phase] for turn in turns) for phase in SHOWN}


def print_growth(growth: Growth, base: Work, scratch: Path) -> None:
    taken = [seconds(replace(base, **{growth.field: value}), scratch) for value in growth.values]
    names = " → ".join(map(str, growth.values))
    for phase in SHOWN:
        times = [one[phase] for one in taken]
        cells = " | ".join(f"{time:.2f} s" for time in times)
        print(f"| {growth.name}: {names} | {PHASES[phase]} | {cells} | {growth.exponent(times):.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="measured steps of each size")
    parser.add_argument("--small", action="store_true", help="tiny steps, one doubling, to see that everything runs")
    arguments = parser.parse_args()
    times, first = (1, 2) if arguments.small else (3, 8)
    growths = (
        Growth("prompts", "prompts", doubled(first, times)),
        Growth("completions of a prompt", "samples", doubled(first, times)),
        Growth("tokens of a completion", "new_tokens", doubled(2 * first, times)),
        Growth("pixels of a picture's side", "side", SIDES[: times + 1]),
    )
    print("# How a training step grows\n")
    print(f"`python {' '.join(sys.argv)}`: {processor_name()}, one thread, float32, {versions(sys.executable)}.")
    print(f"Medians of {arguments.rounds} steps, in seconds of processor time. Where nothing else is said, a step has")
    print(f"{first} prompts with a picture of 64 tokens and {first} completions of {2 * first} tokens each.\n")
    sizes = " | ".join(f"× {factor}" for factor in doubled(1, times))
    print(f"| what grows | phase | {sizes} | exponent |")
    print("| --- | --- |" + " --- |" * (times + 2))
    with tempfile.TemporaryDirectory() as scratch:
        model = Path(scratch) / "model"
        build_random(model, "tiny", "cpu")
        base = Work(
            str(model), first, first, 2 * first, SIDES[0],
            replayed=False, turns=arguments.rounds + 1, micro_batch=32, threads=1,
        )  # fmt: skip
        for growth in growths:
            print_growth(growth, base, Path(scratch))


if __name__ == "__main__":
    main()
