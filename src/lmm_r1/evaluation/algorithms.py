"""Algorithms side by side over training seeds, as Markdown.

    python -m lmm_r1.evaluation.algorithms outputs/fre/<run> …

A row an algorithm; each cell is the mean over seeds with Student's 95 % interval, and the gain is taken within its seed
first. All runs must have had the same stage, data, starting weights and steps; seeds may differ in number, and
an algorithm with fewer of them shows so. `sweeps/algorithms.yaml` makes such runs.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from lmm_r1.errors import UserError
from lmm_r1.evaluation.seeds import ACCURACY, Summary, accuracies, cell, read_summary

SAME = ("stage", "data_hash", "model_path", "steps")
"""What comparable runs have in common, by its name in `summary.json`."""


def algorithm_table(summaries: Sequence[Summary]) -> str:
    """A row for each algorithm, the greatest gain first.

    Raises:
        UserError: runs that cannot be compared, an algorithm's seed twice, or a run without its validations.
    """
    rows: dict[str, list[Summary]] = {}
    for summary in summaries:
        if not summary.get("algorithm"):
            raise UserError(
                f"a {summary['stage']} run of seed {summary['seed']} names no algorithm in its summary.json"
            )
        rows.setdefault(str(summary["algorithm"]), []).append(summary)
    for key in SAME:
        values = sorted({str(summary[key]) for summary in summaries})
        if len(values) > 1:
            raise UserError(
                f"the runs differ in {key}: {', '.join(values)}; give runs that differ in algorithm and seed"
            )
    lines = [
        "| algorithm | seeds | before % | after % | gain | gain of each seed | minutes a run |",
        "| --- | --- | ---: | ---: | ---: | --- | ---: |",
    ]
    ordered = sorted(rows.items(), key=lambda item: (-sum(_gains(item[1])) / len(item[1]), item[0]))
    return "\n".join([*lines, *(_row(name, runs) for name, runs in ordered)]) + "\n"


def _row(name: str, runs: Sequence[Summary]) -> str:
    runs = sorted(runs, key=lambda run: run["seed"])
    seeds = [str(run["seed"]) for run in runs]
    if len(set(seeds)) < len(seeds):
        raise UserError(f"algorithm {name}: seeds {', '.join(seeds)} repeat; give one run for each seed")
    before, after = _percent(runs, "initial"), _percent(runs, "final")
    gains = _gains(runs)
    each = ", ".join(f"{gain:+.1f}" for gain in gains)
    minutes = sum(run["wall_seconds"]["total"] for run in runs) / 60 / len(runs)
    cells = [name, ", ".join(seeds), cell(before), cell(after), cell(gains, "+"), each, f"{minutes:.1f}"]
    return f"| {' | '.join(cells)} |"


def _gains(runs: Sequence[Summary]) -> list[float]:
    runs = sorted(runs, key=lambda run: run["seed"])
    return [late - early for early, late in zip(_percent(runs, "initial"), _percent(runs, "final"), strict=True)]


def _percent(runs: Sequence[Summary], moment: str) -> list[float]:
    return [100 * accuracies(run, moment)[ACCURACY] for run in runs]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m lmm_r1.evaluation.algorithms", description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+")
    try:
        print(algorithm_table([read_summary(run) for run in parser.parse_args().runs]), end="")
    except UserError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
