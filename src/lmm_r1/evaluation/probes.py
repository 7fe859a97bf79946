"""Is the policy gaming its reward? Every probe over the stored completions of a run or of an evaluation.

    python -m lmm_r1.evaluation.probes outputs/fre/latest

prints the share of completions that each probe finds, over all steps and over the first, middle and last third of them
(bold where it rises), and writes `probes.json` and `probes.html` with examples into the folder. The 95 % intervals take
the completions of a problem as one cluster. Completions are judged anew, by the project's rule and by LMM-R1's released
one, whatever the run was paid by. Whether a policy looks at its pictures is another question, which
`python eval.py … images=blank` asks.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from lmm_r1.atomic_files import write_text
from lmm_r1.errors import UserError
from lmm_r1.evaluation.probes_lengths import Lengths, lengths
from lmm_r1.evaluation.probes_page import write_page
from lmm_r1.evaluation.probes_rules import PROBES, Answered, Probe, boxes_elsewhere
from lmm_r1.evaluation.statistics import Interval, accuracy_interval, cluster_bootstrap_interval
from lmm_r1.rewards.accuracy import AnswerAccuracy
from lmm_r1.rewards.format import format_reward
from lmm_r1.rewards.judged import Judged
from lmm_r1.rewards.released import ReleasedAccuracy, released_format
from lmm_r1.rollout.store import RolloutStore
from lmm_r1.types import Completion, Group, Problem

ALL = "all"
THIRDS = ("first third", "middle third", "last third")
STEPS_READ = 30
"""Of a long run: ten of each third."""
COMPLETIONS_JUDGED = 3000
EXAMPLES = 3
FORMAT_WEIGHT = 0.5
"""Of the format beside accuracy, in the released rule and in `reward=rule`."""
MOST_BOXES = 4
"""Boxes outside the answer that are judged, the last ones."""


@dataclass(frozen=True)
class Rate:
    """How often a probe fires among the completions it applies to."""

    fired: int
    completions: int
    share: Interval


@dataclass(frozen=True)
class Example:
    """A completion that a probe found."""

    step: int
    problem: str
    question: str
    gold: str
    text: str


@dataclass(frozen=True)
class Found:
    """What one probe found; parts where it applies to nothing are absent."""

    name: str
    of: str
    meaning: str
    rates: dict[str, Rate]
    rises: bool
    """The last third's interval lies above the first third's."""
    examples: list[Example]


@dataclass(frozen=True)
class Report:
    """All probes over one folder; the keys of its maps are the parts: all, and the thirds of a training run."""

    folder: str
    steps: list[int]
    """Those that were read."""
    steps_stored: int
    completions: int
    probes: list[Found]
    lengths: dict[str, Lengths]
    paid: dict[str, dict[str, Interval]]
    """The mean reward under `"rule"` and under `"released"`, each accuracy + 0.5 · format."""


def probe(folder: Path, most: int = COMPLETIONS_JUDGED) -> Report:
    """Run every probe over a run's or an evaluation's folder.

    Args:
        most: about how many completions to judge, evenly spaced over steps and groups; each costs some milliseconds.

    Raises:
        UserError: `folder` holds no stored completions.
    """
    store, training = _store(folder)
    stored = store.steps()
    read = min(len(stored), STEPS_READ)
    chosen = [stored[place * len(stored) // read] for place in range(read)]
    groups = [
        (step, group)
        for step, groups in store.read_steps(chosen, pictures=False)
        for group in _some(groups, most // read)
    ]
    steps = sorted({step for step, _ in groups})
    if not steps:
        raise UserError(f"{store.folder}: every file is damaged")
    answered = judge(groups)
    parts = _parts(answered, steps if training else [])
    return Report(
        folder=str(folder),
        steps=steps,
        steps_stored=len(stored),
        completions=len(answered),
        probes=[_found(one, parts) for one in PROBES],
        lengths={name: _lengths(part) for name, part in parts.items()},
        paid={name: _paid(part) for name, part in parts.items()},
    )


def judge(groups: Sequence[tuple[int, Group]]) -> list[Answered]:
    """Every completion under both rules, from groups with the step that they were sampled at."""
    items = [(group.problem, completion) for _, group in groups for completion in group.completions]
    steps = [step for step, group in groups for _ in group.completions]
    with closing(AnswerAccuracy()) as ours, closing(ReleasedAccuracy()) as theirs:
        verdicts = ours.judge(items)
        released = [verdict.correct for verdict in theirs.judge(items)]
        elsewhere = _right_boxes_elsewhere(items, [verdict.correct for verdict in verdicts], ours)
    judged = [
        Judged(problem, completion, verdict, [completion])
        for (problem, completion), verdict in zip(items, verdicts, strict=True)
    ]
    return [
        Answered(
            step,
            one.problem,
            one.completion,
            right=one.verdict.correct,
            keeps_format=bool(format_reward(one)),
            released_right=released[place],
            released_format=bool(released_format(one)),
            right_box_elsewhere=place in elsewhere,
        )
        for place, (step, one) in enumerate(zip(steps, judged, strict=True))
    ]


def _right_boxes_elsewhere(
    items: Sequence[tuple[Problem, Completion]], right: Sequence[bool], accuracy: AnswerAccuracy
) -> set[int]:
    """Which wrong completions have a right box outside their answer."""
    boxes = [
        (place, content)
        for place, (_, completion) in enumerate(items)
        if not right[place]
        for content in boxes_elsewhere(completion.text)[-MOST_BOXES:]
        if "<" not in content
    ]
    claims = [
        (items[place][0], Completion((), (), f"<answer>{content}</answer>", "stop", items[place][1].weight_version))
        for place, content in boxes
    ]
    return {place for (place, _), verdict in zip(boxes, accuracy.judge(claims), strict=True) if verdict.correct}


def _store(folder: Path) -> tuple[RolloutStore, bool]:
    """Where the completions are, and whether they come from the steps of a training run."""
    for name in ("rollouts", "completions"):
        store = RolloutStore(folder / name)
        if store.steps():
            return store, name == "rollouts"
    raise UserError(f"{folder} has neither rollouts/ nor completions/ with stored completions; give a run's folder")


def _some(groups: Sequence[Group], completions: int) -> list[Group]:
    """Evenly spaced groups with about as many completions; at least one."""
    wanted = min(len(groups), max(1, completions // max(1, len(groups[0].completions))))
    return [groups[place * len(groups) // wanted] for place in range(wanted)]


def _parts(answered: Sequence[Answered], steps: Sequence[int]) -> dict[str, list[Answered]]:
    """Everything, and the thirds where there are three steps or more."""
    parts = {ALL: list(answered)}
    if len(steps) >= len(THIRDS):
        third = {step: THIRDS[place * len(THIRDS) // len(steps)] for place, step in enumerate(steps)}
        parts |= {name: [one for one in answered if third[one.step] == name] for name in THIRDS}
    return parts


def _found(one: Probe, parts: dict[str, list[Answered]]) -> Found:
    rates = {name: rate for name, part in parts.items() if (rate := _rate(one, part)) is not None}
    first, last = rates.get(THIRDS[0]), rates.get(THIRDS[-1])
    return Found(
        name=one.name,
        of=one.of,
        meaning=one.meaning,
        rates=rates,
        rises=first is not None and last is not None and last.share.low > first.share.high,
        examples=list(_examples(one, parts[ALL])),
    )


def _rate(one: Probe, part: Sequence[Answered]) -> Rate | None:
    fired = [(one.fires(answered), answered.problem.id) for answered in part]
    applying = [(float(value), problem) for value, problem in fired if value is not None]
    if not applying:
        return None
    values, problems = zip(*applying, strict=True)
    return Rate(int(sum(values)), len(values), accuracy_interval(values, problems))


def _examples(one: Probe, answered: Sequence[Answered]) -> Iterator[Example]:
    """The newest of different problems: what the policy does now."""
    seen: set[str] = set()
    for each in reversed(answered):
        if len(seen) < EXAMPLES and each.problem.id not in seen and one.fires(each):
            seen.add(each.problem.id)
            yield Example(each.step, each.problem.id, each.problem.question, each.problem.answer, each.completion.text)


def _lengths(part: Sequence[Answered]) -> Lengths:
    return lengths(
        [one.right for one in part],
        [len(one.completion.token_ids) for one in part],
        [one.problem.id for one in part],
    )


def _paid(part: Sequence[Answered]) -> dict[str, Interval]:
    problems = [one.problem.id for one in part]
    rule = [one.right + FORMAT_WEIGHT * one.keeps_format for one in part]
    released = [one.released_right + FORMAT_WEIGHT * one.released_format for one in part]
    return {
        "rule": cluster_bootstrap_interval(rule, problems),
        "released": cluster_bootstrap_interval(released, problems),
    }


def probes_table(report: Report) -> Table:
    """The shares for the terminal, in percent; the intervals of the thirds are on the page."""
    title = f"{report.completions} completions of {len(report.steps)} of {report.steps_stored} steps; shares in %"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("probe", no_wrap=True)
    for part in report.lengths:
        table.add_column(part.removesuffix(" third"), justify="right", no_wrap=True)
    for found in report.probes:
        cells = [_shown(found.rates.get(part), part) for part in report.lengths]
        table.add_row(found.name, *cells, style="bold" if found.rises else None)
    return table


def _shown(rate: Rate | None, part: str) -> str:
    if rate is None:
        return ""
    share = rate.share
    bounds = f" ({100 * share.low:.1f}–{100 * share.high:.1f})" if part == ALL else ""
    return f"{100 * share.mean:.1f}{bounds}"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m lmm_r1.evaluation.probes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="of a run, or of an evaluation")
    parser.add_argument("--most", type=int, default=COMPLETIONS_JUDGED, help="completions to judge")
    arguments = parser.parse_args()
    if arguments.most < 1:
        parser.error(f"--most {arguments.most}: at least 1")
    try:
        report = probe(arguments.folder, arguments.most)
    except UserError as error:
        parser.error(str(error))
    write_text(arguments.folder / "probes.json", json.dumps(asdict(report), indent=2) + "\n")
    Console().print(probes_table(report))
    Console().print(f"{write_page(report)}", soft_wrap=True)


if __name__ == "__main__":
    main()
