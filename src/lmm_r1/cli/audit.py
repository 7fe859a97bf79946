"""Which golds of a data set can be trained on, before a run finds out.

    python -m lmm_r1.cli.audit dataset=local dataset.path=problems.jsonl dataset.question_field=problem

takes the overrides of `train.py` and looks at every row of the training file, and of the validation file where that is
another, or at all problems of a data set of one's own: each gold is verified against itself, as at the start of a run.
It prints how many rows are used as they stand, judged as another answer type, or dropped, with examples, and writes
every row that is not used as it stands to `audit.jsonl`. Neither torch nor a model is loaded.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.utils import instantiate
from rich import box
from rich.console import Console
from rich.table import Table

from lmm_r1.cli.checks import Config
from lmm_r1.cli.command_line import overrides_in
from lmm_r1.cli.composition import compose_config, plain
from lmm_r1.cli.inputs import check_dataset_files
from lmm_r1.cli.paths import register_resolvers
from lmm_r1.cli.user_errors import one_line_errors
from lmm_r1.errors import UserError

if TYPE_CHECKING:
    from lmm_r1.rewards.findings import Finding

FILES = "lmm_r1.data.local.LocalDataset"
GENERATED = "lmm_r1.data.synthetic."
EXAMPLES = 3
"""Golds shown for each reason."""
LONGEST_GOLD = 60


def audit(overrides: Sequence[str], output: Path) -> None:
    """Audit what the overrides name, print the counts, and write `output`.

    Raises:
        UserError: the overrides do not compose, name no file, or nothing in a file can be read.
    """
    config = plain(compose_config("train", overrides))
    sets = _whole_sets(config)
    if not output.parent.is_dir():
        raise UserError(f"--output {output}: no such folder; make it first")
    # Only now: everything has been checked.
    from lmm_r1.rewards.audit import verify_golds
    from lmm_r1.rewards.findings import findings, write_findings
    from lmm_r1.rewards.gold_rows import gold_rows

    found: list[Finding] = []
    for options in sets:
        rows = gold_rows(instantiate(options, _convert_="all"))
        result = verify_golds(rows.golds)
        of_set = findings(rows, result)
        title = str(options.get("path", options["_target_"]))
        Console().print(_table(title, len(rows.golds) + len(rows.unread), len(result.kept), of_set))
        found += of_set
    write_findings(output, found)
    Console().print(f"{output}", soft_wrap=True)


def _whole_sets(config: Config) -> list[Config]:
    """How to open the training set and the validation set; a file once, from its first row to its last."""
    check_dataset_files(config)
    parts = [part for part in (config["dataset"]["train"], config["dataset"]["validation"]) if part is not None]
    if any(str(part.get("_target_")).startswith(GENERATED) for part in parts):
        raise UserError(
            "dataset: problems that are made on the spot have exact golds; take dataset=local dataset.path=<file>, or "
            "a data set of your own"
        )
    whole = [{**part, "start": 0, "stop": None} if part.get("_target_") == FILES else part for part in parts]
    return list(reversed({part.get("path", place): part for place, part in reversed([*enumerate(whole)])}.values()))


def _table(title: str, rows: int, kept: int, found: Sequence[Finding]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("golds", no_wrap=True)
    table.add_column("rows", justify="right", no_wrap=True)
    table.add_column("first of them (row: gold)")
    table.add_row("all", str(rows), "")
    table.add_row("kept", str(kept), "")
    by_kind: dict[str, list[Finding]] = {}
    for finding in sorted(found, key=lambda finding: (finding.outcome != "retyped", finding.outcome)):
        by_kind.setdefault(_kind(finding), []).append(finding)
    for kind, members in by_kind.items():
        table.add_row(kind, str(len(members)), "; ".join(_shown(member) for member in members[:EXAMPLES]))
    return table


def _kind(finding: Finding) -> str:
    if finding.outcome == "retyped":
        return f"retyped: {finding.suggestion}"
    return f"{finding.outcome.replace('_', ' ')}: {finding.reason}"


def _shown(finding: Finding) -> str:
    if finding.gold is None:
        return str(finding.row)
    gold = " ".join(finding.gold.split()).replace("[", r"\[")
    return f"{finding.row}: {gold if len(gold) <= LONGEST_GOLD else gold[: LONGEST_GOLD - 1] + '…'}"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m lmm_r1.cli.audit", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("overrides", nargs="+", metavar="key=value", help="as for train.py")
    parser.add_argument("--output", type=Path, default=Path("audit.jsonl"))
    arguments = parser.parse_args()
    register_resolvers()
    with one_line_errors():
        audit(overrides_in(arguments.overrides), arguments.output)


if __name__ == "__main__":
    main()
