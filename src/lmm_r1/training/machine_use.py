"""What a run uses of its machine, step by step: the quantities that `training.plan` expects, as measured."""

from __future__ import annotations

import resource
from collections.abc import Mapping, Sequence
from typing import Any

import lightning as L
import torch

from lmm_r1.models.architecture import Architecture
from lmm_r1.models.devices import this_cpu, this_gpu
from lmm_r1.training.batch import RolloutBatch
from lmm_r1.training.distributed import sum_over_processes
from lmm_r1.training.plan_memory import pass_dtype
from lmm_r1.training.settings import TrainerSettings
from lmm_r1.training.step_costs import Passes, shape_of, update_flops

SECONDS = "time/"
SHARE = "machine/share/"


class UpdateCosts(L.Callback):
    """Counts what each update computes: `update/flops`, without what is computed again, and `update/tokens`, each
    prompt once; over all processes."""

    def __init__(self, architecture: Architecture, passes: Passes) -> None:
        self.architecture, self.passes = architecture, passes
        self.metrics: dict[str, float] = {}

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: RolloutBatch, batch_idx: int
    ) -> None:
        shape = shape_of(batch.experience)
        flops = sum(update_flops(self.architecture, shape, self.passes, recomputed=False).values())
        mine = torch.tensor([flops, shape.shared_tokens], dtype=torch.float64, device=pl_module.device)
        flops, tokens = sum_over_processes(trainer, mine).tolist()
        self.metrics = {"update/flops": flops, "update/tokens": tokens}


class MachineUse:
    """From what a step measured to how well it used the machine. Everything here is said by a clock, and differs
    between two runs that are otherwise the same."""

    def __init__(self, devices: int, peak_flops: float | None) -> None:
        """Args: `peak_flops`: operations a second of one device; None where they are not known."""
        self.devices, self.peak_flops = devices, peak_flops

    def of_step(self, row: Mapping[str, float], peak_memory: float) -> dict[str, float]:
        """Columns for the row of a step.

        - `machine/device_seconds`: of all devices, idle or not
        - `machine/share/<phase>`: of the step's time
        - `machine/mfu`: of all devices' peak operations during the update (PaLM, arXiv 2204.02311, section 4.1)
        - `machine/peak_memory_gb`: of the first process
        - `rollout/tokens_per_second`, of completions; `update/tokens_per_second`, each prompt once

        Args:
            row: `time/<phase>` in seconds, and tokens and operations where there are any.
            peak_memory: bytes.
        """
        seconds = {name.removeprefix(SECONDS): value for name, value in row.items() if name.startswith(SECONDS)}
        total = sum(seconds.values())
        use = {"machine/device_seconds": total * self.devices, "machine/peak_memory_gb": peak_memory / 1e9}
        use |= {f"{SHARE}{phase}": value / total for phase, value in seconds.items()}
        if "completion/tokens" in row:
            use["rollout/tokens_per_second"] = row["completion/tokens"] / seconds["rollout"]
        if "update/tokens" in row:
            use["update/tokens_per_second"] = row["update/tokens"] / seconds["update"]
        if "update/flops" in row and self.peak_flops is not None:
            use["machine/mfu"] = row["update/flops"] / (seconds["update"] * self.peak_flops * self.devices)
        return use


def totals(rows: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """The same over the rows of `metrics.csv`: sums, and means weighted by time. What no row has is left out."""

    def total(name: str, weight: str | None = None) -> float:
        chosen = [row for row in rows if row.get(name) and (weight is None or row.get(weight))]
        return sum(float(row[name]) * (1.0 if weight is None else float(row[weight])) for row in chosen)

    columns = dict.fromkeys(name for row in rows for name, value in row.items() if value)
    phases = {name.removeprefix(SECONDS): total(name) for name in columns if name.startswith(SECONDS)}
    whole = sum(phases.values())
    summary: dict[str, Any] = {
        "device_seconds": total("machine/device_seconds"),
        "peak_memory_gb": max((float(row["machine/peak_memory_gb"]) for row in rows), default=0.0),
        "share": {phase: seconds / whole for phase, seconds in phases.items()},
    }
    for name, key in (
        ("prompt/tokens", "prompt_tokens"),
        ("completion/tokens", "completion_tokens"),
        ("update/flops", "update_flops"),
    ):
        if name in columns:
            summary[key] = total(name)
    if "completion/tokens" in columns:
        summary["rollout_tokens_per_second"] = total("completion/tokens") / phases["rollout"]
    if "update/tokens" in columns:
        summary["update_tokens_per_second"] = total("update/tokens") / phases["update"]
    if "machine/mfu" in columns:
        summary["mfu"] = total("machine/mfu", "time/update") / phases["update"]
    return summary


def peak_flops(settings: TrainerSettings) -> float | None:
    """Operations a second that a device could do: nominal for a GPU in the table, measured for a CPU."""
    dtype = pass_dtype(settings.precision)
    device = this_gpu() if settings.accelerator == "gpu" else this_cpu({dtype})
    return None if device is None else device.flops[dtype]


def take_peak_memory(device: torch.device) -> float:
    """Bytes: on a GPU the most that tensors took since the last call, elsewhere the most that the process ever took."""
    if device.type != "cuda":
        return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak = torch.cuda.max_memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    return float(peak)
