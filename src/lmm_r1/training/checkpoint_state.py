"""What a checkpoint holds, and how it is written and read by any number of processes (torch.distributed.checkpoint).

Each process writes a share of the weights, its own share of the optimisers' moments and its own random state, one
tensor after the other; no process ever holds what the others have.

    weights.<name>                     each tensor of the model once
    moments.<optimiser>.<name>.<key>   what an optimiser keeps of a parameter
    process.<rank>                     a process's random state
    run                                schedules, and what the module and the callbacks know
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import lightning as L
import torch
import torch.distributed.checkpoint as dcp
from torch import Tensor, nn
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.optim import Optimizer

from lmm_r1.atomic_files import naming_refusals
from lmm_r1.errors import UnwritableError, UserError
from lmm_r1.training.random_state import set_random_state

FILE_BYTES = 2**30
"""Of one file: torch keeps what it copied of its tensors from a GPU until the file is complete."""


def write_state(
    trainer: L.Trainer, module: L.LightningModule, random: dict[str, Any], folder: Path, *, named: Path
) -> None:
    """Write the state of the run into a folder; all processes call it, and it fails in all of them or in none.

    Args:
        random: this process's random state.
        named: what the folder will be called, for messages.

    Raises:
        UnwritableError: the disk is full or refuses.
    """
    state: dict[str, Any] = {f"weights.{name}": tensor for name, tensor in _weights(module).items()}
    for index, optimiser in enumerate(trainer.optimizers):
        for name, parameter in _own_parameters(module, optimiser):
            for key, value in _own(optimiser).state.get(parameter, {}).items():
                state[f"moments.{index}.{name}.{key}"] = value
    state[f"process.{trainer.global_rank}"] = random
    if trainer.is_global_zero:
        state["run"] = _run_state(trainer, module)
    planner = dcp.DefaultSavePlanner(flatten_state_dict=False, flatten_sharded_tensors=False)
    try:
        with _quiet():
            dcp.save(state, storage_writer=_Writer(folder, named), planner=planner)
    except dcp.CheckpointException as error:
        for failure, _ in error.failures.values():
            if isinstance(failure, UnwritableError):
                raise UnwritableError(str(failure)) from error
        # It is no `Exception`, and would pass by whoever handles these.
        raise RuntimeError(f"{named} could not be written") from error


def read_state(trainer: L.Trainer, module: L.LightningModule, folder: Path) -> None:
    """Bring the run back to the state in a checkpoint; all processes call it, as many as there may be now.

    Weights are read into where they lie, and of the moments a process reads its own share.

    Raises:
        UserError: the files are damaged in a way that their sizes do not show.
    """
    try:
        with _quiet():
            _read_state(trainer, module, folder)
    except dcp.CheckpointException as error:
        step, _ = error.args
        if step == "plan":
            raise RuntimeError(f"{folder} is not of this model") from error
        raise UserError(_damaged(folder)) from error


def _damaged(folder: Path) -> str:
    return f"{folder}: the content of a file is damaged; rename the folder to go on from the checkpoint before"


def _read_state(trainer: L.Trainer, module: L.LightningModule, folder: Path) -> None:
    try:
        stored = dcp.FileSystemReader(folder).read_metadata().state_dict_metadata
    except Exception as error:  # whatever unpickling damaged bytes comes to
        raise UserError(_damaged(folder)) from error
    wanted: dict[str, Any] = {f"weights.{name}": tensor for name, tensor in _weights(module).items()}
    moments = [_empty_moments(module, optimiser, index, stored) for index, optimiser in enumerate(trainer.optimizers)]
    for index, of_optimiser in enumerate(moments):
        for name, state in of_optimiser.items():
            wanted |= {f"moments.{index}.{name}.{key}": tensor for key, tensor in state.items()}
    processes = sum(key.startswith("process.") for key in stored)
    # Where there were fewer processes, some share a random state, as all do at the start of a run.
    process = f"process.{trainer.global_rank % processes}"
    wanted |= {"run": None, process: None}
    planner = dcp.DefaultLoadPlanner(flatten_state_dict=False, flatten_sharded_tensors=False)
    dcp.load(wanted, storage_reader=dcp.FileSystemReader(folder), planner=planner)
    for optimiser, of_optimiser in zip(trainer.optimizers, moments, strict=True):
        _set_moments(module, optimiser, of_optimiser)
    _set_run_state(trainer, module, wanted["run"])
    set_random_state(wanted[process], trainer.strategy.root_device)


def _weights(module: nn.Module) -> dict[str, Tensor]:
    """The model's live tensors under their names; one that has two names, such as a tied head, under its first."""
    once = {name for name, _ in chain(module.named_parameters(), module.named_buffers())}
    return {name: tensor for name, tensor in module.state_dict().items() if name in once}


def _own(optimiser: Optimizer) -> Optimizer:
    """The optimiser of this process's share of the parameters: with ZeRO one that it holds, otherwise itself."""
    return getattr(optimiser, "optim", optimiser)


def _own_parameters(module: nn.Module, optimiser: Optimizer) -> Iterator[tuple[str, nn.Parameter]]:
    """The parameters whose moments this process keeps, with their names, as the optimiser counts them."""
    names = {parameter: name for name, parameter in module.named_parameters()}
    for group in _own(optimiser).param_groups:
        yield from ((names[parameter], parameter) for parameter in group["params"])


def _empty_moments(
    module: nn.Module, optimiser: Optimizer, index: int, stored: dict[str, Any]
) -> dict[str, dict[str, Tensor]]:
    """Room for what is stored of this process's parameters; a parameter that never had a gradient has nothing."""
    own = dict(_own_parameters(module, optimiser))
    room: dict[str, dict[str, Tensor]] = {}
    for entry, metadata in stored.items():
        name, _, key = entry.removeprefix(f"moments.{index}.").rpartition(".")
        if entry.startswith(f"moments.{index}.") and name in own and isinstance(metadata, TensorStorageMetadata):
            # The count of steps has no dimension and belongs on the CPU; the optimiser moves it where it wants it.
            device = own[name].device if metadata.size else "cpu"
            room.setdefault(name, {})[key] = torch.empty(metadata.size, dtype=metadata.properties.dtype, device=device)
    return room


def _set_moments(module: nn.Module, optimiser: Optimizer, moments: dict[str, dict[str, Tensor]]) -> None:
    own = _own(optimiser)
    packed = own.state_dict()
    names = [name for name, _ in _own_parameters(module, optimiser)]
    packed["state"] = {place: moments[name] for place, name in enumerate(names) if name in moments}
    own.load_state_dict(packed)


def _run_state(trainer: L.Trainer, module: L.LightningModule) -> dict[str, Any]:
    of_module: dict[str, Any] = {}
    module.on_save_checkpoint(of_module)
    return {
        "module": of_module,
        "schedules": [config.scheduler.state_dict() for config in trainer.lr_scheduler_configs],
        "callbacks": {callback.state_key: state for callback in trainer.callbacks if (state := callback.state_dict())},
    }


def _set_run_state(trainer: L.Trainer, module: L.LightningModule, state: dict[str, Any]) -> None:
    module.on_load_checkpoint(state["module"])
    for config, schedule in zip(trainer.lr_scheduler_configs, state["schedules"], strict=True):
        config.scheduler.load_state_dict(schedule)
        for group, rate in zip(config.scheduler.optimizer.param_groups, config.scheduler.get_last_lr(), strict=True):
            group["lr"] = rate
    for callback in trainer.callbacks:
        if callback.state_key in state["callbacks"]:
            callback.load_state_dict(state["callbacks"][callback.state_key])


class _Writer(dcp.FileSystemWriter):
    """Writes a process's share in files of bounded size, and says in plain words where the disk refuses."""

    def __init__(self, folder: Path, named: Path) -> None:
        super().__init__(folder)
        self._named = named

    def write_data(self, plan: dcp.SavePlan, planner: dcp.SavePlanner) -> torch.futures.Future:
        written = []
        for number, items in enumerate(_in_parts(plan.items)):
            prefix = dataclasses.replace(plan.storage_data, prefix=f"{plan.storage_data.prefix}{number}_")
            with naming_refusals(self._named):
                part = super().write_data(dataclasses.replace(plan, items=items, storage_data=prefix), planner)
            written += part.wait()
        future: torch.futures.Future = torch.futures.Future()
        future.set_result(written)
        return future

    def finish(self, metadata: Any, results: list[list[Any]]) -> None:
        with naming_refusals(self._named):
            super().finish(metadata, results)


def _in_parts(items: list[Any]) -> Iterator[list[Any]]:
    """The items in their order, so many at a time that their tensors fill a file."""
    part: list[Any] = []
    filled = 0
    for item in items:
        data = item.tensor_data
        size = 0 if data is None else math.prod(data.chunk.sizes) * data.properties.dtype.itemsize
        if part and filled + size > FILE_BYTES:
            yield part
            part, filled = [], 0
        part.append(item)
        filled += size
    yield part


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's remark that there is one process."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        yield
