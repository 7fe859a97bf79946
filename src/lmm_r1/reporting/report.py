"""`report.html`: a run on one self-contained page, made from what the run left on disk.

    python -m lmm_r1.reporting.report <run folder>

makes it anew, also for a run that is still going or was interrupted.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lmm_r1.atomic_files import write_text
from lmm_r1.errors import UserError
from lmm_r1.reporting.panels import draw_panels
from lmm_r1.reporting.run_folder import RunFolder, read_run
from lmm_r1.reporting.samples import ShownProblem, show_change, show_group, spread
from lmm_r1.rollout.store import RolloutStore
from lmm_r1.types import Group

PROBLEMS_SHOWN = 6
"""In each section of samples."""

COMPLETIONS_SHOWN = 3
"""Of a training problem."""


@dataclass(frozen=True)
class Section:
    """Sample problems under one heading."""

    title: str
    problems: list[ShownProblem]


@dataclass(frozen=True)
class Gain:
    """A row of the table before and after; shares in [0, 1]."""

    name: str
    before: float
    after: float


def write_report(run_folder: Path) -> Path:
    """Write `report.html` into a run's folder and return its path.

    Whatever the run has not measured or stored is left out.

    Raises:
        UserError: `run_folder` is not a run's folder.
    """
    run = read_run(run_folder)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.j2").render(
        title=_title(run),
        facts=_facts(run),
        gains=_gains(run),
        panels=[(panel, Markup(panel.svg)) for panel in draw_panels(run)],
        sections=[*_training_sections(run_folder), *_validation_sections(run_folder)],
        versions=run.summary.get("versions", {}),
        config=run.config,
    )
    path = run_folder / "report.html"
    write_text(path, page)
    return path


def _title(run: RunFolder) -> str:
    stage = str(run.summary.get("stage", run.path.resolve().parent.name)).upper()
    seed = run.summary.get("seed")
    return stage if seed is None else f"{stage}, seed {seed}"


def _facts(run: RunFolder) -> list[tuple[str, str]]:
    """The summary and the lineage, in reading order, as far as known."""
    summary = run.summary
    seconds = summary.get("wall_seconds", {})
    facts = [
        ("Run", str(run.path)),
        ("State", "finished" if summary else "not finished: no summary.json"),
        ("Steps", summary.get("steps", int(run.metrics.index.max()) if len(run.metrics) else None)),
        ("Wall time", _duration(seconds.get("total"))),
        ("By phase", _phases(seconds)),
        ("Started from", summary.get("parent") or summary.get("model_path")),
        ("Commit", summary.get("git_commit") or run.lineage.get("git_commit")),
        ("Configuration", _short(summary.get("config_hash"))),
        ("Data", _short(summary.get("data_hash") or run.lineage.get("data"))),
    ]
    return [(name, str(value)) for name, value in facts if value not in (None, "")]


def _short(fingerprint: str | None) -> str | None:
    return fingerprint and f"SHA-256 {fingerprint[:16]}…"


def _duration(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def _phases(seconds: Mapping[str, float]) -> str:
    parts = sorted(seconds.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {_duration(value)}" for name, value in parts if name != "total" and value >= 0.5)


def _gains(run: RunFolder) -> list[Gain]:
    """Validation accuracy of the first and the last measurement, by rendering and over all."""
    history = run.validation_accuracy()
    if len(history) < 2:
        return []
    first, last = history.iloc[0], history.iloc[-1]
    names = [name for name in history if name] + [name for name in history if not name]
    return [Gain(name or "all", float(first[name]), float(last[name])) for name in names]


def _training_sections(run_folder: Path) -> list[Section]:
    """Problems of the first and the last stored rollout."""
    sections = []
    for step, groups in _first_and_last(RolloutStore(run_folder / "rollouts")).items():
        problems = [show_group(group, COMPLETIONS_SHOWN) for group in spread(groups, PROBLEMS_SHOWN)]
        sections.append(Section(f"Training rollout after step {step}", problems))
    return sections


def _validation_sections(run_folder: Path) -> list[Section]:
    """The same validation problems, answered by the first and by the last validated policy."""
    validations = _first_and_last(RolloutStore(run_folder / "validation"))
    if len(validations) < 2:
        return []
    (first, earlier), (last, later) = validations.items()
    before = {group.problem.id: group for group in earlier}
    after = [group for group in later if group.problem.id in before]
    problems = [show_change(before[group.problem.id], group) for group in spread(after, PROBLEMS_SHOWN)]
    return [Section(f"Validation after step {first} and after step {last}", problems)]


def _first_and_last(store: RolloutStore) -> dict[int, list[Group]]:
    """The first and the last step that can be read, or the only one; none where nothing is stored."""
    steps = store.steps()
    return dict([*islice(store.read_steps(steps), 1), *islice(store.read_steps(reversed(steps)), 1)])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m lmm_r1.reporting.report", description=__doc__)
    parser.add_argument("run", type=Path)
    try:
        print(write_report(parser.parse_args().run))
    except UserError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
