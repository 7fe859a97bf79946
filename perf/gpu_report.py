"""From what `gpu.py` measured to figures and a table."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lmm_r1.training.step_costs import StepShape

GIB = 2**30
GOALS = {"FRE": 10_000, "MGT": 20_000}
"""Logical tokens per second on one H200."""
GOAL_SHARE_OF_PEAK = 0.45


@dataclass(frozen=True)
class Workload:
    """The shape of a step."""

    name: str
    prompts: int
    samples: int
    text_tokens: int
    image: tuple[int, int] | None
    """Visual tokens, rows and columns."""
    new_tokens: int

    @property
    def image_tokens(self) -> int:
        return 0 if self.image is None else self.image[0] * self.image[1]

    @property
    def prompt_tokens(self) -> int:
        return self.text_tokens + self.image_tokens


@dataclass(frozen=True)
class Measured:
    """One step, or one update alone."""

    workload: Workload
    kind: str
    """`step` or `update`."""
    attention: str
    checkpointing: bool
    counts: bool
    """False for a warm-up."""
    seeds: bool
    """Whether every completion had a random generator of its own."""
    seconds: float
    phases: dict[str, float]
    peak_bytes: int | None
    """The most that torch had allocated, the engine's cache included; None on a CPU."""
    shape: StepShape
    """The lengths that came of it."""
    flops: int
    """Of the update, as `training.step_costs` counts them: prompts once, and nothing that is recomputed."""
    metrics: dict[str, float]

    def figures(self, peak_flops: float | None) -> dict[str, float | None]:
        """Tokens per second and shares of the device's peak; None where they do not apply."""
        sampled = self.shape.completion_tokens
        update, rollout = self.phases["update"], self.phases.get("rollout")
        return {
            "logical tokens/s": self.shape.repeated_tokens / self.seconds if self.kind == "step" else None,
            "logical tokens/s of the update": self.shape.repeated_tokens / update,
            "tokens/s of the engine": sampled / rollout if rollout else None,
            "MFU of the update": self.flops / update / peak_flops if peak_flops else None,
            "sync seconds": self.phases.get("sync"),
            "peak GiB": None if self.peak_bytes is None else self.peak_bytes / GIB,
        }

    def line(self, peak_flops: float | None) -> str:
        """For whoever watches."""
        said = [f"{name} {_number(value)}" for name, value in self.figures(peak_flops).items() if value is not None]
        split = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in self.phases.items())
        warm_up = "" if self.counts else " (warm-up)"
        return f"{self.name}{warm_up}: {self.seconds:.2f} s; {'; '.join(said)}; {split}"

    @property
    def name(self) -> str:
        checkpointing = ", checkpointing" if self.checkpointing else ""
        seeds = "" if self.seeds else ", without seeds"
        return f"{self.workload.name} {self.kind}, {self.attention}{checkpointing}{seeds}"


def write_results(report: Path, facts: dict[str, Any], measured: Sequence[Measured]) -> None:
    """`report` as Markdown, and every number beside it as JSON."""
    report.parent.mkdir(parents=True, exist_ok=True)
    entries = [asdict(entry) | {"figures": entry.figures(facts["peak_flops"])} for entry in measured]
    report.with_suffix(".json").write_text(json.dumps({"facts": facts, "measured": entries}, indent=1) + "\n")
    report.write_text(_markdown(facts, [entry for entry in measured if entry.counts]))


def _markdown(facts: dict[str, Any], measured: Sequence[Measured]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    settings = facts["config"]
    lines = [
        "# Training steps on one device",
        "",
        f"`{facts['command']}`: {facts['device']}; {versions}; commit {facts['commit'] or 'unknown'}.",
        f"{settings['trainer']['precision']}, {settings['algorithm']['micro_batch_tokens']} tokens a micro-batch, "
        f"engine with {settings['rollout']['engine']['max_num_seqs']} sequences at a time.",
        "",
        "Logical tokens count each prompt once for every completion, as if nothing were shared; MFU counts operations",
        "as a run's `machine/mfu` does, prompts once and recomputation not at all. Medians of measured steps. Goals on",
        "one H200: "
        f"{GOALS['FRE']:,} logical tokens/s for FRE, {GOALS['MGT']:,} for MGT, an MFU of {GOAL_SHARE_OF_PEAK:.0%}.",
        "",
    ]
    steps = [entry for entry in measured if entry.kind == "step"]
    updates = [entry for entry in measured if entry.kind == "update"]
    if steps:
        lines += ["## Whole steps", "", *_table(facts["peak_flops"], steps), "", *_split(steps), ""]
    if updates:
        lines += ["## The update alone", "", *_table(facts["peak_flops"], updates), ""]
    return "\n".join(lines)


def _table(peak_flops: float | None, measured: Sequence[Measured]) -> list[str]:
    figures = [entry.figures(peak_flops) for entry in measured]
    columns = [name for name in figures[0] if any(each[name] is not None for each in figures)]
    lines = [f"| what | prompts × samples | seconds | {' | '.join(columns)} |", "| --- " * (3 + len(columns)) + "|"]
    for entries in _by_name(measured):
        figures = [entry.figures(peak_flops) for entry in entries]
        cells = [_number(statistics.median(each[name] for each in figures)) for name in columns]
        size = f"{entries[0].workload.prompts} × {entries[0].workload.samples}"
        seconds = statistics.median(entry.seconds for entry in entries)
        lines.append(f"| {entries[0].name} | {size} | {seconds:.2f} | {' | '.join(cells)} |")
    return lines


def _split(steps: Sequence[Measured]) -> list[str]:
    phases = list(dict.fromkeys(phase for entry in steps for phase in entry.phases))
    heads = [*phases, "rest", "sampler's difference"]
    lines = [f"| seconds | {' | '.join(heads)} |", "| --- " * (1 + len(heads)) + "|"]
    for entries in _by_name(steps):
        seconds = [statistics.median(entry.phases.get(phase, 0.0) for entry in entries) for phase in phases]
        rest = statistics.median(entry.seconds - sum(entry.phases.values()) for entry in entries)
        difference = statistics.median(entry.metrics["policy/sampler_difference"] for entry in entries)
        cells = [*(f"{value:.2f}" for value in [*seconds, rest]), f"{difference:.1e}"]
        lines.append(f"| {entries[0].name} | {' | '.join(cells)} |")
    return lines


def _by_name(measured: Sequence[Measured]) -> list[list[Measured]]:
    """Repetitions side by side: the same kind and the same size."""
    kinds = dict.fromkeys((entry.name, entry.workload) for entry in measured)
    return [[entry for entry in measured if (entry.name, entry.workload) == kind] for kind in kinds]


def _number(value: float | None) -> str:
    if value is None:
        return "—"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3f}" if value < 1 else f"{value:.1f}"
