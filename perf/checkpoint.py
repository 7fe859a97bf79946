"""What a checkpoint takes, beside Lightning's own file with torch's gathered moments, in one process and in two.

    PYTHONPATH=src python perf/checkpoint.py > perf/results/checkpoint.md

The model is a stack of square matrices in float32 with AdamW's moments: what is written does not depend on what it
computes. Each way waits for the disk: ours before it names the checkpoint; a `sync` comes after Lightning's, which does
not wait. Memory is the most that the first process held more than before, by Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

WAYS = {
    "ours": "a folder, each process its share",
    "reading": "the same, read again",
    "gathering": "torch's `consolidate_state_dict` alone",
    "lightning": "`Trainer.save_checkpoint`",
}


def measure(rank: int, world: int, port: str, matrices: int, rounds: int, folder: Path) -> None:
    """One process of those that save together; the first prints the figures."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(world)}
    os.environ |= {"LOCAL_RANK": str(rank), "NODE_RANK": "0"}
    # Only now: the environment decides what Lightning thinks of its processes.
    import lmm_r1.models  # noqa: F401  (before lightning, whose metrics import torchvision: it may need mending first)

    # isort: split
    import lightning as L
    import torch
    from torch import nn

    from lmm_r1.training.checkpoint_folder import checkpoint_path
    from lmm_r1.training.checkpoint_state import read_state
    from lmm_r1.training.checkpoints import Checkpoints
    from lmm_r1.training.interrupts import Interrupts
    from lmm_r1.training.optimiser import optimiser_with_schedule
    from lmm_r1.training.replicas import Replicas

    class Matrices(L.LightningModule):
        """Takes one step, so that there are moments, and then saves."""

        steps_done = 1

        def __init__(self) -> None:
            super().__init__()
            self.automatic_optimization = False
            self.layers = nn.Sequential(*(nn.Linear(1024, 1024, bias=False) for _ in range(matrices)))

        def configure_optimizers(self):
            schedule = {"schedule": "constant", "warmup_ratio": 0.0, "min_ratio": 1.0, "steps": 1}
            adam = {"learning_rate": 1e-3, "betas": (0.9, 0.95), "weight_decay": 0.0}
            return optimiser_with_schedule(self.layers, **adam, **schedule, processes=self.trainer.world_size)

        def training_step(self, batch, batch_idx):
            for parameter in self.layers.parameters():
                parameter.grad = torch.ones_like(parameter)
            self.optimizers().step()

        def on_train_batch_end(self, *_) -> None:
            results = {way: [] for way in WAYS}
            for way, call in ways(self, self.trainer).items():
                before = resident()
                for _ in range(rounds):
                    self.trainer.strategy.barrier()
                    start = time.perf_counter()
                    call()
                    self.trainer.strategy.barrier()
                    results[way].append(time.perf_counter() - start)
                results[way] = {"seconds": statistics.median(results[way]), "memory": peak() - before}
            if rank == 0:
                weights = sum(parameter.nbytes for parameter in self.layers.parameters())
                print(json.dumps({"bytes": {"all": 3 * weights, "moments": 2 * weights}, "ways": results}))

    def ways(module: L.LightningModule, trainer: L.Trainer) -> dict[str, Callable[[], None]]:
        saver = Checkpoints(folder / "ours", Interrupts(), every=1, keep=1, steps=1)
        gathered = getattr(trainer.optimizers[0], "consolidate_state_dict", lambda: None)

        def lightning() -> None:
            trainer.save_checkpoint(folder / "lightning.ckpt", weights_only=False)
            os.sync()

        return {
            "ours": lambda: saver.save(trainer, module),
            "reading": lambda: read_state(trainer, module, checkpoint_path(folder / "ours", 1)),
            "gathering": gathered,
            "lightning": lightning,
        }

    torch.set_num_threads(1)
    trainer = L.Trainer(
        max_epochs=1,
        accelerator="cpu",
        devices=world,
        strategy=Replicas() if world > 1 else "auto",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    trainer.fit(Matrices(), torch.utils.data.DataLoader(range(world)))


def resident() -> int:
    """The bytes of memory that this process holds; `peak` counts from here."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def peak() -> int:
    """The most bytes that this process has held since."""
    return _status("VmHWM")


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024


def together(world: int, matrices: int, rounds: int, scratch: Path) -> dict:
    """The figures of that many processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = scratch / str(world)
    folder.mkdir()
    common = [str(number) for number in (world, port, matrices, rounds)]
    started = [
        subprocess.Popen(
            [sys.executable, __file__, "--process", str(rank), *common, str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(world)
    ]
    outputs = [process.communicate() for process in started]
    for process, (_, errors) in zip(started, outputs, strict=True):
        if process.returncode:
            raise RuntimeError(errors)
    shutil.rmtree(folder)
    return json.loads(outputs[0][0].splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--matrices", type=int, default=32, help="of 1024 × 1024: 12.6 MB each with their moments")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None, help="on the disk to measure")
    parser.add_argument("--process", nargs=6, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.process:
        rank, world, port, matrices, rounds, folder = arguments.process
        measure(int(rank), int(world), port, int(matrices), int(rounds), Path(folder))
        return
    from step import versions
    from update import processor_name

    print("# Saving a checkpoint\n")
    print(f"`python {' '.join(sys.argv)}`: {processor_name()}, one thread a process, {versions(sys.executable)}.")
    print(f"{arguments.matrices} matrices of 1024 × 1024 with AdamW's moments, medians of {arguments.rounds} rounds.\n")
    print("| processes | what | bytes | seconds | MB/s | ns a byte | memory of the first process |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch:
        for world in (1, 2):
            figures = together(world, arguments.matrices, arguments.rounds, Path(scratch))
            for way, what in WAYS.items():
                if world == 1 and way == "gathering":
                    continue
                size = figures["bytes"]["moments" if way == "gathering" else "all"]
                seconds, memory = figures["ways"][way]["seconds"], figures["ways"][way]["memory"]
                rates = f"{size / seconds / 1e6:.0f} | {1e9 * seconds / size:.1f}"
                # What is read replaces moments that are there: in a run that is resumed there are none.
                more = "" if way == "reading" else f"+ {max(0, memory) / 1e6:.0f} MB"
                print(f"| {world} | {what} | {size / 1e6:.0f} MB | {seconds:.2f} | {rates} | {more} |", flush=True)


if __name__ == "__main__":
    main()
