"""Two evaluations of the same problems side by side.

    python -m lmm_r1.evaluation.compare <before> <after>

prints, for each rendering, the gain with its paired 95 % interval and McNemar's p with Holm's correction over the
table. Folders are those that `eval.py` leaves.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from lmm_r1.errors import UserError
from lmm_r1.evaluation.bad_rows import BAD_ROWS, read_bad_rows
from lmm_r1.evaluation.benchmark import read_outcomes
from lmm_r1.evaluation.outcomes import Outcome, grouped, item_accuracies
from lmm_r1.evaluation.results import ALL
from lmm_r1.evaluation.statistics import PairedDifference, holm_adjusted, paired_difference


@dataclass(frozen=True)
class Comparison:
    """One rendering, or all of them, before and after."""

    rendering: str
    before: float
    after: float
    paired: PairedDifference


def compare(
    before: Sequence[Outcome], after: Sequence[Outcome], not_answered: tuple[int, int] = (0, 0)
) -> list[Comparison]:
    """The gain for each rendering and over all of them, on the problems that both answered.

    Args:
        not_answered: how many problems each of the two could not be asked.

    Raises:
        UserError: the two differ in more problems than these.
    """
    early, late = item_accuracies(before), item_accuracies(after)
    missing = (late.keys() - early.keys(), early.keys() - late.keys())
    both = early.keys() & late.keys()
    if not both or any(len(part) > most for part, most in zip(missing, not_answered, strict=True)):
        raise UserError(
            f"the two evaluations differ in {len(missing[0]) + len(missing[1])} problems; run both with the same "
            "benchmark options and seed"
        )
    first_samples = {outcome.problem: outcome for outcome in before if outcome.problem in both}.values()
    parts = {**grouped(first_samples, lambda outcome: outcome.rendering), ALL: list(first_samples)}
    comparisons = []
    for rendering, items in parts.items():
        old = [early[item.problem] for item in items]
        new = [late[item.problem] for item in items]
        paired = paired_difference(old, new, [item.latent for item in items])
        comparisons.append(Comparison(rendering, sum(old) / len(old), sum(new) / len(new), paired))
    return comparisons


def comparison_table(comparisons: Sequence[Comparison]) -> Table:
    """The comparisons for the terminal; p is corrected over all rows that have one."""
    raw = [part.paired.p_value for part in comparisons]
    adjusted = iter(holm_adjusted([p for p in raw if p is not None]))
    table = Table(title="Accuracy, paired by problem", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("rendering")
    for name in ("before %", "after %", "gain", "95 % interval", "p"):
        table.add_column(name, justify="right")
    for part in comparisons:
        gain = part.paired.difference
        table.add_row(
            part.rendering,
            f"{100 * part.before:.1f}",
            f"{100 * part.after:.1f}",
            f"{100 * gain.mean:+.1f}",
            f"{100 * gain.low:+.1f} to {100 * gain.high:+.1f}",
            "" if part.paired.p_value is None else f"{next(adjusted):.2g}",
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m lmm_r1.evaluation.compare", description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    arguments = parser.parse_args()
    try:
        outcomes = [read_outcomes(folder) for folder in (arguments.before, arguments.after)]
        not_answered = tuple(len(read_bad_rows(folder / BAD_ROWS)) for folder in (arguments.before, arguments.after))
        comparisons = compare(*outcomes, not_answered)
    except UserError as error:
        parser.error(str(error))
    Console().print(comparison_table(comparisons))
    if any(not_answered):
        print(f"not answered and not counted: {not_answered[0]} before, {not_answered[1]} after")


if __name__ == "__main__":
    main()
