"""Accuracy before and after each stage over training seeds, as Markdown.

    python -m lmm_r1.evaluation.seeds outputs/fre/<run> … outputs/mgt/<run> …

Each cell is the mean over seeds with Student's 95 % interval; a gain is taken within its seed first.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from lmm_r1.atomic_files import read_json
from lmm_r1.errors import UserError
from lmm_r1.evaluation.statistics import seed_interval

ACCURACY = "validation/accuracy"

Summary = Mapping[str, object]
"""A run's `summary.json`."""


def seed_tables(summaries: Sequence[Summary]) -> str:
    """A table of accuracies for each stage and one of the runs behind them.

    Raises:
        UserError: a seed appears twice in a stage, or a run lacks its validation before and after.
    """
    stages: dict[str, list[Summary]] = {}
    for summary in summaries:
        stages.setdefault(str(summary["stage"]), []).append(summary)
    parts = []
    for stage, runs in stages.items():
        runs.sort(key=lambda run: run["seed"])
        seeds = [str(run["seed"]) for run in runs]
        if len(set(seeds)) < len(seeds):
            raise UserError(f"stage {stage}: seeds {', '.join(seeds)} repeat; give one run for each seed")
        parts += [f"### {stage.upper()}, seeds {', '.join(seeds)}", "", *_accuracy_table(stage, runs), ""]
    return "\n".join([*parts, "### Runs", "", *_run_table(stages)]) + "\n"


def read_summary(run_folder: Path) -> Summary:
    """Raises UserError where the run has not finished, or its summary is damaged."""
    path = run_folder / "summary.json"
    if not path.is_file():
        raise UserError(f"{path} does not exist; the run has not finished (train.py resume={run_folder})")
    return read_json(path, f"python train.py resume={run_folder} writes it again")


def _accuracy_table(stage: str, runs: Sequence[Summary]) -> list[str]:
    befores, afters = [accuracies(run, "initial") for run in runs], [accuracies(run, "final") for run in runs]
    if any(part.keys() != befores[0].keys() for part in (*befores, *afters)):
        raise UserError(f"stage {stage}: the runs were validated on different renderings; give runs of one experiment")
    lines = ["| rendering | before % | after % | gain | gain of each seed |", "| --- | ---: | ---: | ---: | --- |"]
    # The plain accuracy, over all renderings, closes the table.
    for key in sorted(befores[0], key=lambda name: name == ACCURACY):
        before = [100 * part[key] for part in befores]
        after = [100 * part[key] for part in afters]
        gains = [late - early for early, late in zip(before, after, strict=True)]
        name = key.removeprefix(ACCURACY).removeprefix("/") or "all"
        each = ", ".join(f"{gain:+.1f}" for gain in gains)
        lines.append(f"| {name} | {cell(before)} | {cell(after)} | {cell(gains, '+')} | {each} |")
    return lines


def _run_table(stages: Mapping[str, Sequence[Summary]]) -> list[str]:
    lines = [
        "| stage | seed | RL steps | minutes | started from | commit |",
        "| --- | ---: | ---: | ---: | --- | --- |",
    ]
    for stage, runs in stages.items():
        for run in runs:
            minutes = run["wall_seconds"]["total"] / 60
            start = run.get("parent") or run.get("model_path") or ""
            commit = str(run.get("git_commit") or "")[:7]
            lines.append(f"| {stage} | {run['seed']} | {run['steps']} | {minutes:.1f} | `{start}` | {commit} |")
    return lines


def accuracies(run: Summary, moment: str) -> dict[str, float]:
    """Accuracy over all items and by rendering, without the families, at `moment`, `initial` or `final`.

    Raises UserError where the run was not validated then.
    """
    measured = run["validation"].get(moment) or {}
    accuracies = {
        key: value
        for key, value in measured.items()
        if key == ACCURACY or (key.startswith(f"{ACCURACY}/") and key.count("/") == 2)
    }
    if not accuracies:
        raise UserError(f"the {run['stage']} run of seed {run['seed']} has no {moment} validation in its summary.json")
    return accuracies


def cell(values: Sequence[float], sign: str = "") -> str:
    """The mean over seeds, with Student's 95 % interval where there are several."""
    interval = seed_interval(values)
    mean = f"{interval.mean:{sign}.1f}"
    return mean if len(values) == 1 else f"{mean} ± {interval.half_width:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m lmm_r1.evaluation.seeds", description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+")
    try:
        print(seed_tables([read_summary(run) for run in parser.parse_args().runs]), end="")
    except UserError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
