"""The update phase alone: packed rows with shared prompts against a padded batch of whole sequences.

    PYTHONPATH=src python perf/update.py [--runs 5] > perf/results/update.md

Both compute the same loss and the same gradients with the same weights: the shipped tiny model, or for memory one
with random weights and Qwen's vocabulary. "Padded" is `models.logprobs.completion_statistics`, one group a
micro-batch, its fastest; "packed" is what training runs, `training.forward.ExperienceForward`.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from PIL import Image

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
        self.banned = torch.tensor(banned_token_ids(self.processor, self.model.config))
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
        loss = -(ratio * self.experience.advantages[rows, None]).sum()
        (loss / self.experience.completion_mask.sum()).backward()

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
        """Processor time of one update: other work on the machine disturbs it less than a clock on the wall."""
        begin = time.process_time()
        update()
        self.model.zero_grad()
        return time.process_time() - begin


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


def print_comparison(prompts: int, runs: int) -> None:
    print("## Time\n\n| prompts | packed | padded | ratio (least–most) | difference of the gradients |")
    print("| --- | --- | --- | --- | --- |")
    shapes = {
        "512 text tokens, G = 16, 64 new": Workload(prompts, 16, 512, 64, None),
        "512 tokens, 256 of them of an image, G = 16, 64 new": Workload(prompts, 16, 512, 64, 448),
        "stage=fre by default: 45 text tokens, G = 8, 40 new": Workload(8 * prompts, 8, 45, 40, None),
    }
    for name, workload in shapes.items():
        print(compare(name, workload, runs), flush=True)


def print_memory(new_tokens: tuple[int, ...]) -> None:
    """Peaks, each measured in a process of its own."""
    print(
        f"\n## Memory\n\nPeak resident memory of the update above what the process held before it; {QWEN_VOCABULARY:,} "
        "words, the tiny model's\nlayers with random weights, one group of 16 behind 64 tokens.\n"
    )
    print("| new tokens | packed | padded |\n| --- | --- | --- |")
    for tokens in new_tokens:
        peaks = [_peak(way, tokens) for way in ("packed", "padded")]
        print(f"| 16 × {tokens} | {peaks[0]:.0f} MB | {peaks[1]:.0f} MB |", flush=True)


def _peak(way: str, tokens: int) -> float:
    command = [sys.executable, __file__, "--peak-of", way, str(tokens)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def print_peak(way: str, tokens: int) -> None:
    workload = Workload(1, 16, 64, tokens, None)
    config = workload.model.config
    config.text_config.vocab_size = QWEN_VOCABULARY
    workload.model = type(workload.model)._from_config(config).train()
    # Forget the peak of building the model: proc(5), clear_refs.
    Path("/proc/self/clear_refs").write_text("5")
    before = memory_megabytes("VmHWM")
    getattr(workload, way)()
    print(memory_megabytes("VmHWM") - before)


def print_leak(steps: int) -> None:
    """Resident memory over many steps with images, the tower frozen so that features are remembered."""
    workload = Workload(2, 4, 64, 8, 112)
    workload.model.model.visual.requires_grad_(False)
    sizes = {}
    for step in range(1, steps + 1):
        workload.packed()
        workload.model.zero_grad()
        if step in (steps // 10, steps):
            sizes[step] = memory_megabytes("VmRSS")
    texts = [f"{size:.0f} MB after {step} steps" for step, size in sizes.items()]
    print(f"\n## Growth\n\nResident memory with images and a frozen tower: {', '.join(texts)}.")


def memory_megabytes(what: str) -> float:
    """`VmRSS`, what is resident now, or `VmHWM`, the most that ever was: Linux's own books on this process."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what))
    return int(line.split()[1]) / 1024


def processor_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--prompts", type=int, default=2, help="groups in the large shapes")
    parser.add_argument("--leak-steps", type=int, default=200)
    parser.add_argument("--peak-of", nargs=2, metavar=("WAY", "TOKENS"), help="one peak of memory alone")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    if arguments.peak_of:
        print_peak(arguments.peak_of[0], int(arguments.peak_of[1]))
        return
    print(f"# The update phase\n\n`python {' '.join(sys.argv)}`: torch {version('torch')}, transformers ", end="")
    print(f"{version('transformers')}, {processor_name()}, one thread, float32.\nTimes are medians of ", end="")
    print(f"{arguments.runs} alternating runs, in processor time.\n")
    print_comparison(arguments.prompts, arguments.runs)
    print_memory((16, 32, 64))
    print_leak(arguments.leak_steps)


if __name__ == "__main__":
    main()
