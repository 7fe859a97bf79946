"""A part of a run that sends its steps to W&B: `python wandb_part.py <folder> <first step> <steps> <end>`.

Ends: `close`; `die` (SIGKILL to itself); `orphan` (SIGKILL to W&B's service before the last step).
"""

from __future__ import annotations

import csv
import logging
import os
import signal
import sys
from pathlib import Path

from lmm_r1.reporting.wandb_run import WandbRun
from lmm_r1.rollout.store import RolloutStore
from tests.reporting.handmade import make_group

GROUPS = [make_group(number, "vision_only", [True, False]) for number in range(4)]


def kill_service() -> None:
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    services = [int(child) for child in children if Path(f"/proc/{child}/comm").read_text().startswith("wandb-core")]
    assert services
    for service in services:
        os.kill(service, signal.SIGKILL)
        os.waitpid(service, 0)


def main(folder: Path, first_step: int, steps: int, end: str) -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    validations, table = RolloutStore(folder / "validation"), folder / "metrics.csv"
    rows = list(csv.DictReader(table.open())) if table.exists() else []
    run = WandbRun(folder, "fre-run", {"seed": 1}, project="p", group="fre", tags=[], offline=True, sample_rows=4)
    run.begin([row for row in rows if int(row["step"]) < first_step], validations)
    for step in range(first_step, steps):
        metrics, validated = {"reward/mean": step / 3}, GROUPS if step % 2 == 0 else []
        if validated:
            metrics["validation/accuracy"] = 0.5
            validations.write(validated, step, 0)
        if end == "orphan" and step == steps - 1:
            kill_service()
        run.log(step, metrics, validated)
    if end == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    run.close(exit_code=0)
    print("the run went on to its end")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
