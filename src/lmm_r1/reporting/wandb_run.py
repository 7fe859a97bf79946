"""One W&B run for a run's folder, from step 0 on in its newest files, however often the run was interrupted.

W&B's own step is the RL step. Offline, each part of an interrupted run has files of its own, and the tracker takes
those that are uploaded last for the whole: so a part begins with the rows of the parts before it, whose files are set
aside. Online, the tracker says how far it has come, and is sent what follows.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmm_r1.reporting.wandb_tables import sample_table
from lmm_r1.rollout.store import RolloutStore
from lmm_r1.types import Group

if TYPE_CHECKING:
    import wandb

log = logging.getLogger(__name__)

REPLACED = "replaced"
"""Where in the folder `wandb` the files of earlier parts go; `wandb sync` does not look there."""
PLACES = {"WANDB_DATA_DIR": "data", "WANDB_CACHE_DIR": "cache", "WANDB_ARTIFACT_DIR": "artifacts"}
"""What W&B would write into the user's home, and where it goes in the folder `wandb`."""
SECONDS_FOR_UPLOADS = 600.0
"""At the end of a run; what is not uploaded by then waits on the disk."""


class WandbRun:
    """Sends each step's row to W&B. Whatever fails there costs one line of the log and no step of the run.

    Args:
        folder: of the run.
        run_id: of W&B's run; None for the one that an agent of a sweep brings.
        config: what W&B shows as the run's settings.
        sample_rows: of the table of samples at each validation; 0 for none.
    """

    def __init__(
        self,
        folder: Path,
        run_id: str | None,
        config: Mapping[str, Any],
        *,
        project: str,
        group: str,
        tags: Sequence[str],
        offline: bool,
        sample_rows: int,
    ) -> None:
        self.folder, self.sample_rows = folder, sample_rows
        self._arguments = {
            "dir": str(folder),
            "id": run_id,
            "name": folder.name,
            "config": dict(config),
            "project": project,
            "group": group,
            "tags": list(tags),
            "resume": "allow",
            "mode": "offline" if offline else None,
        }
        self._run: wandb.Run | None = None

    def begin(self, rows: Sequence[Mapping[str, str]], validations: RolloutStore) -> None:
        """Start, and send what an earlier part of the run has written: the rows of `metrics.csv`, as text."""
        with self._surviving():
            self._run = self._start()
            for row in rows:
                if int(row["step"]) >= self._run.starting_step:
                    self._send(row, validations)
            _set_earlier_parts_aside(Path(self._run.settings.sync_dir))

    def log(self, step: int, metrics: Mapping[str, float], validated: Sequence[Group] = ()) -> None:
        """Send one step, with a table of samples where there are validated groups."""
        if self._run is not None:
            with self._surviving():
                row: dict[str, Any] = dict(metrics) | {"step": step}
                if validated and self.sample_rows:
                    row["samples"] = sample_table(validated, step, rows=self.sample_rows)
                self._run.log(row, step=step, commit=True)

    def close(self, exit_code: int) -> None:
        """Wait for what is still on its way."""
        if self._run is not None:
            with self._surviving():
                self._run.finish(exit_code=exit_code)
                self._run = None

    def _start(self) -> wandb.Run:
        for variable, name in PLACES.items():
            os.environ.setdefault(variable, str(self.folder / "wandb" / name))
        # Imported here: it takes a second, and the rest must work where W&B is not wanted.
        import wandb

        # A terminal that W&B listens to would break with W&B; the log is a file of the run.
        settings = wandb.Settings(console="off", finish_timeout=SECONDS_FOR_UPLOADS)
        return wandb.init(**self._arguments, settings=settings)

    def _send(self, row: Mapping[str, str], validations: RolloutStore) -> None:
        step, metrics = int(row["step"]), {name: float(value) for name, value in row.items() if value != ""}
        validated = any(name.startswith("validation/") for name in metrics)
        groups = next((groups for _, groups in validations.read_steps([step])), []) if validated else []
        self.log(step, metrics, groups)

    @contextmanager
    def _surviving(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            log.warning("W&B failed and is left alone from here on (%s); metrics.csv goes on", reason)
            self._run = None
            _try(_end_service)


def _end_service() -> None:
    """W&B would try in vain to speak to its service when the process ends."""
    import wandb

    wandb.teardown(exit_code=1)


def _set_earlier_parts_aside(newest: Path) -> None:
    for part in newest.parent.glob("offline-run-*"):
        if part.is_dir() and part.resolve() != newest.resolve():
            (newest.parent / REPLACED).mkdir(exist_ok=True)
            part.rename(newest.parent / REPLACED / part.name)


def _try(act: Callable[[], object]) -> None:
    try:
        act()
    except Exception as error:
        log.debug("W&B's service did not end: %s", error)
