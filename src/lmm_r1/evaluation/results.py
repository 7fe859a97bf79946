"""What an evaluation found: accuracy with error bars by family and rendering, as JSON, a table, or bare numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich import box
from rich.table import Table

from lmm_r1.atomic_files import read_json, write_text
from lmm_r1.errors import UserError
from lmm_r1.evaluation.bad_rows import BAD_ROWS
from lmm_r1.evaluation.outcomes import Outcome, grouped, item_accuracies, outcomes_of
from lmm_r1.evaluation.statistics import Interval, accuracy_interval
from lmm_r1.types import Group

ALL = "all"
"""The family, or the rendering, of a cell that counts them all."""


@dataclass(frozen=True)
class Cell:
    """One row of the table: the completions of one family in one rendering, or of all of them."""

    family: str
    rendering: str
    problems: int
    completions: int
    accuracy: Interval
    """Mean over problems of the share of their completions that are right (avg@k), with its 95 % interval."""
    format_rate: float | None
    """Mean of the format term; None where the reward has no such term."""
    truncation_rate: float
    mean_length: float
    """Tokens."""


@dataclass(frozen=True)
class Results:
    """All cells of an evaluation, and how its completions were made."""

    cells: tuple[Cell, ...]
    generation: Mapping[str, object]
    """Seed, sampling and provenance, as `generation.json` has them."""
    not_answered: Mapping[str, int] = field(default_factory=dict)
    """Problems that could not be asked, by reason; no cell counts them."""

    def cell(self, family: str = ALL, rendering: str = ALL) -> Cell:
        """The cell of a family and a rendering.

        Raises:
            KeyError: no such cell.
        """
        for cell in self.cells:
            if (cell.family, cell.rendering) == (family, rendering):
                return cell
        raise KeyError(f"no problems of family {family!r} in rendering {rendering!r}")

    def to_json(self, path: Path) -> None:
        text = json.dumps(asdict(self), indent=2, sort_keys=True)
        write_text(path, text + "\n")

    @classmethod
    def from_json(cls, path: Path) -> Results:
        """Raises UserError where `path` is not there, or damaged."""
        if not path.is_file():
            raise UserError(f"{path} does not exist; run eval.py to make it")
        stored = read_json(path, f"python eval.py rescore={path.parent} writes it again")
        cells = (Cell(**{**cell, "accuracy": Interval(**cell["accuracy"])}) for cell in stored["cells"])
        return cls(tuple(cells), stored["generation"], stored.get("not_answered", {}))

    def table(self) -> Table:
        """The cells for the terminal, the totals last."""
        table = Table(
            title="Accuracy with its 95 % interval (shares in %)",
            title_justify="left",
            box=box.SIMPLE_HEAD,
            padding=(0, 2, 0, 0),
            show_edge=False,
            caption=self._left_out(),
            caption_justify="left",
        )
        for name in ("family", "rendering"):
            table.add_column(name, no_wrap=True)
        for name in ("items", "accuracy", "format", "cut", "tokens"):
            table.add_column(name, justify="right", no_wrap=True)
        for cell in self.cells:
            accuracy = cell.accuracy
            table.add_row(
                cell.family,
                cell.rendering,
                str(cell.problems),
                f"{100 * accuracy.mean:.1f} ({100 * accuracy.low:.1f}–{100 * accuracy.high:.1f})",
                "" if cell.format_rate is None else f"{100 * cell.format_rate:.1f}",
                f"{100 * cell.truncation_rate:.1f}",
                f"{cell.mean_length:.4g}",
                style="bold" if cell.family == ALL else None,
            )
        return table

    def _left_out(self) -> str | None:
        if not self.not_answered:
            return None
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.not_answered.items())
        return f"not answered and not counted: {sum(self.not_answered.values())} ({reasons}), see {BAD_ROWS}"


def summarize(
    outcomes: Sequence[Outcome], generation: Mapping[str, object], not_answered: Mapping[str, int] | None = None
) -> Results:
    """A cell for each family in each rendering, for each rendering over all families, and for everything.

    Renderings of one latent problem are one cluster of the error bars, so that showing a problem five times does not
    pass for five problems.

    Raises:
        ValueError: no outcomes.
    """
    by_family = grouped(outcomes, lambda outcome: (outcome.family or outcome.source, outcome.rendering))
    cells = [_cell(family, rendering, part) for (family, rendering), part in by_family.items()]
    cells.sort(key=lambda cell: cell.family)
    by_rendering = grouped(outcomes, lambda outcome: outcome.rendering)
    cells += [_cell(ALL, rendering, part) for rendering, part in by_rendering.items()]
    cells.append(_cell(ALL, ALL, outcomes))
    return Results(tuple(cells), generation, dict(not_answered or {}))


def accuracy_metrics(groups: Sequence[Group]) -> dict[str, float]:
    """The validation columns of a training run's metrics, from scored groups.

    `validation/accuracy` is the plain mean over items, where an item counts the share of its completions that are
    right (avg@k); `validation/accuracy/<rendering>` and `validation/accuracy/<family>/<rendering>` are the same over
    their part. `validation/format` (absent where the reward has no format term) and `validation/length` (tokens) are
    means over completions. Nothing, where nothing was answered.
    """
    outcomes = outcomes_of(groups)
    if not outcomes:
        return {}
    metrics = {"validation/accuracy": _average_accuracy(outcomes)}
    metrics |= _accuracy_by(outcomes, lambda outcome: outcome.rendering)
    with_family = [outcome for outcome in outcomes if outcome.family]
    metrics |= _accuracy_by(with_family, lambda outcome: f"{outcome.family}/{outcome.rendering}")
    formats = [outcome.format for outcome in outcomes if outcome.format is not None]
    if formats:
        metrics["validation/format"] = sum(formats) / len(formats)
    metrics["validation/length"] = sum(outcome.length for outcome in outcomes) / len(outcomes)
    return metrics


def _cell(family: str, rendering: str, outcomes: Sequence[Outcome]) -> Cell:
    accuracies = item_accuracies(outcomes)
    latent_of = {outcome.problem: outcome.latent for outcome in outcomes}
    formats = [outcome.format for outcome in outcomes if outcome.format is not None]
    return Cell(
        family=family,
        rendering=rendering,
        problems=len(accuracies),
        completions=len(outcomes),
        accuracy=accuracy_interval(list(accuracies.values()), [latent_of[problem] for problem in accuracies]),
        format_rate=sum(formats) / len(formats) if formats else None,
        truncation_rate=sum(outcome.truncated for outcome in outcomes) / len(outcomes),
        mean_length=sum(outcome.length for outcome in outcomes) / len(outcomes),
    )


def _average_accuracy(outcomes: Sequence[Outcome]) -> float:
    """Mean over problems of `item_accuracies`."""
    accuracies = item_accuracies(outcomes)
    return sum(accuracies.values()) / len(accuracies)


def _accuracy_by(outcomes: Sequence[Outcome], key: Callable[[Outcome], str]) -> dict[str, float]:
    return {f"validation/accuracy/{name}": _average_accuracy(part) for name, part in grouped(outcomes, key).items()}
