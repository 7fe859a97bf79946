"""What a run uses of its machine, step by step: the quantities that `training.plan` expects, as measured."""

from __future__ import annotations

import resource
from collections.abc import Mapping, Sequence
from typing import Any

import lightning as L
import torch

from lmm_r1.models.architecture import Architecture, architecture_of
from lmm_r1.models.devices import Device, this_cpu, this_gpu
from lmm_r1.training.batch import RolloutBatch
from lmm_r1.training.distributed import sum_over_processes
from lmm_r1.training.plan_memory import pass_dtype
from lmm_r1.training.plan_time import ROOFLINE, StepTimes
from lmm_r1.training.settings import AlgorithmSettings, ModelSettings, TrainerSettings
from lmm_r1.training.step_costs import Passes, passes_of, shape_of, update_flops

SECONDS = "time/"
SHARE = "machine/share/"
LEAST = "machine/least/"
ROOFLINE_SHARE = "machine/roofline/"


class StepCosts(L.Callback):
    """Counts what each step computes.

    - `update/flops`, without what is computed again, and `update/tokens`, each prompt once; over all processes
    - `machine/least/<phase>`: seconds that one device would need for it at its full nominal speed; in a step that
      sampled further prompts, for those that it learned from
    """

    def __init__(self, architecture: Architecture, passes: Passes, roofline: StepTimes | None) -> None:
        """Args: `roofline`: None where the device is not known."""
        self.architecture, self.passes, self.roofline = architecture, passes, roofline
        self.metrics: dict[str, float] = {}

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: RolloutBatch, batch_idx: int
    ) -> None:
        shape = shape_of(batch.experience)
        own = sum(update_flops(self.architecture, shape, self.passes, recomputed=False).values())
        mine = torch.tensor([own, shape.shared_tokens], dtype=torch.float64, device=pl_module.device)
        flops, tokens = sum_over_processes(trainer, mine).tolist()
        self.metrics = {"update/flops": flops, "update/tokens": tokens}
        if self.roofline is not None:
            lengths = [length for group in shape.completions for length in group]
            sequences = min(len(lengths), self.roofline.engine.get("max_num_seqs", len(lengths)))
            least = self.roofline.seconds(shape, own, sequences=sequences, longest=max(lengths))
            self.metrics |= {f"{LEAST}{phase}": seconds for phase, seconds in least.items() if seconds}


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
        - `machine/roofline/<phase>`: the share of the device's nominal speed that the phase reached
        - `machine/mfu`: of all devices' peak operations during the update (PaLM, arXiv 2204.02311, section 4.1)
        - `machine/peak_memory_gb`: of the first process
        - `rollout/tokens_per_second`, of completions; `update/tokens_per_second`, each prompt once

        Args:
            row: `time/<phase>` in seconds, and tokens, operations and `machine/least/<phase>` where there are any.
            peak_memory: bytes.
        """
        seconds = {name.removeprefix(SECONDS): value for name, value in row.items() if name.startswith(SECONDS)}
        total = sum(seconds.values())
        use = {"machine/device_seconds": total * self.devices, "machine/peak_memory_gb": peak_memory / 1e9}
        use |= {f"{SHARE}{phase}": value / total for phase, value in seconds.items()}
        least = {phase: row[f"{LEAST}{phase}"] for phase in seconds if f"{LEAST}{phase}" in row}
        use |= {f"{ROOFLINE_SHARE}{phase}": value / seconds[phase] for phase, value in least.items()}
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
    known = [phase for phase in phases if f"{ROOFLINE_SHARE}{phase}" in columns]
    if known:
        summary["roofline"] = {
            phase: total(f"{ROOFLINE_SHARE}{phase}", f"{SECONDS}{phase}") / phases[phase] for phase in known
        }
    if "completion/tokens" in columns:
        summary["rollout_tokens_per_second"] = total("completion/tokens") / phases["rollout"]
    if "update/tokens" in columns:
        summary["update_tokens_per_second"] = total("update/tokens") / phases["update"]
    if "machine/mfu" in columns:
        summary["mfu"] = total("machine/mfu", "time/update") / phases["update"]
    return summary


def costs_of_run(
    start: str, model: ModelSettings, algorithm: AlgorithmSettings, trainer: TrainerSettings, engine: Mapping[str, Any]
) -> StepCosts:
    """Args: `start`: the folder or id of the starting weights; `engine`: the engine's arguments."""
    architecture, device, dtype = architecture_of(start), _device_of(trainer, engine), pass_dtype(trainer.precision)
    roofline = None
    if device is not None:
        roofline = StepTimes(device, architecture, model, algorithm, engine, dtype, ROOFLINE)
    return StepCosts(architecture, passes_of(model, algorithm), roofline)


def use_of_run(trainer: TrainerSettings, engine: Mapping[str, Any]) -> MachineUse:
    device = _device_of(trainer, engine)
    return MachineUse(trainer.devices, None if device is None else device.flops[pass_dtype(trainer.precision)])


def _device_of(trainer: TrainerSettings, engine: Mapping[str, Any]) -> Device | None:
    """What a device of the run could do: nominal for a GPU in the table, measured for a CPU."""
    dtype = pass_dtype(trainer.precision)
    return this_gpu() if trainer.accelerator == "gpu" else this_cpu({dtype, engine.get("dtype", dtype)})


def take_peak_memory(device: torch.device) -> float:
    """Bytes: on a GPU the most that tensors took since the last call, elsewhere the most that the process ever took."""
    if device.type != "cuda":
        return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak = torch.cuda.max_memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    return float(peak)
