"""Storing a step's rollouts: what the training loop waits for, and what is on the disk afterwards.

    PYTHONPATH=src python perf/rollout_store.py > perf/results/rollout_store.md

Both store the same groups, each with a photograph of its own, in turns. "Whole" keeps every picture as a PNG of its
full size before the update begins; "preview" is what training does, with its thread. The update is a pause, as it is
for a processor whose GPU works.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image
from update import processor_name

from lmm_r1.atomic_files import replacing
from lmm_r1.rollout.background_writer import BackgroundWriter
from lmm_r1.rollout.previews import pixel_hash
from lmm_r1.rollout.rows import to_rows
from lmm_r1.rollout.store import RolloutStore
from lmm_r1.types import Completion, Group, Problem, Score

SIZE = (1280, 960)
SAMPLES, TOKENS, PROMPT = 8, 300, 700


@dataclass(frozen=True)
class Stored:
    """What storing one step took."""

    waited: float
    """Seconds of the loop."""
    processor: float
    """Seconds of all threads."""
    bytes: int


def photograph(random: np.random.Generator) -> Image.Image:
    """Detail at every scale, as in nature, and a camera's noise."""
    width, height = SIZE
    layers = np.full((height, width, 3), 128.0)
    for octave in range(2, 9):
        small = Image.fromarray(random.integers(0, 256, (3 * 2**octave // 4, 2**octave, 3), dtype=np.uint8))
        layers += (np.asarray(small.resize(SIZE, Image.Resampling.BICUBIC)) - 128.0) * 2.0 ** (1 - octave)
    return Image.fromarray(np.clip(layers + random.normal(0, 3, layers.shape), 0, 255).astype(np.uint8))


def groups_of(count: int, seed: int) -> list[Group]:
    random = np.random.default_rng(seed)
    groups = []
    for number in range(count):
        problem = Problem(f"{seed}-{number}", "<image>?", "7", images=(photograph(random),))
        completions = [
            Completion(
                tuple(random.integers(0, 150_000, TOKENS).tolist()),
                tuple(random.normal(-1, 0.5, TOKENS).astype(np.float32).tolist()),
                "word " * TOKENS,
                "stop",
                0,
            )
            for _ in range(SAMPLES)
        ]
        scores = [Score(1.0, {"accuracy": 1.0, "format": 1.0}, True, "ok")] * SAMPLES
        groups.append(Group(problem, tuple(range(PROMPT)), completions, scores))
    return groups


def whole(folder: Path, groups: Sequence[Group], step: int) -> Callable[[], None]:
    """Every picture as it was, before the loop goes on."""

    def write_image(image: Image.Image) -> str:
        path = folder / "images" / f"{pixel_hash(image)}.png"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as unfinished:
                image.save(unfinished, "PNG")
        return f"images/{path.name}"

    table = to_rows(groups, step, 0, write_image)
    with replacing(folder / f"step-{step:06d}-rank-0000.parquet") as unfinished:
        pq.write_table(table, unfinished, compression="zstd")
    return lambda: None


def preview(folder: Path, groups: Sequence[Group], step: int) -> Callable[[], None]:
    """As training stores them."""
    writer = BackgroundWriter(RolloutStore(folder))
    writer.write(groups, step, 0)
    return writer.finish


def stored(
    way: Callable[..., Callable[[], None]], folder: Path, groups: list[Group], step: int, pause: float
) -> Stored:
    before = _bytes(folder)
    begun, processor = time.perf_counter(), time.process_time()
    finish = way(folder, groups, step)
    waited = time.perf_counter() - begun
    time.sleep(pause)
    begun = time.perf_counter()
    finish()
    waited += time.perf_counter() - begun
    return Stored(waited, time.process_time() - processor, _bytes(folder) - before)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def row(name: str, way: str, rounds: Sequence[Stored]) -> str:
    waited, processor, size = (statistics.median(getattr(one, of) for one in rounds) for of in Stored.__annotations__)
    return f"| {name} | {way} | {1e3 * waited:.0f} ms | {1e3 * processor:.0f} ms | {size / 1e6:.3g} MB |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pause", type=float, default=6.0, help="seconds of an update")
    arguments = parser.parse_args()
    print("# Storing a step's rollouts\n")
    print(
        f"Pillow {version('pillow')}, pyarrow {version('pyarrow')}, {processor_name()}. {arguments.prompts} prompts of"
    )
    print(
        f"{PROMPT} tokens with a picture of {SIZE[0]} × {SIZE[1]}, each with {SAMPLES} completions of {TOKENS} tokens;"
    )
    print(f"an update of {arguments.pause:g} s; medians of {arguments.rounds} rounds.\n")
    print("| a step with | kept | the loop waits | processor time, all threads | on the disk |")
    print(f"|{' --- |' * 5}")
    taken: dict[tuple[str, str], list[Stored]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(arguments.rounds):
            groups = groups_of(arguments.prompts, number)
            for name in ("new pictures", "pictures that are stored already"):
                for way in (whole, preview):
                    step = 2 * number + (name != "new pictures")
                    measured = stored(way, Path(folder, way.__name__), groups, step, arguments.pause)
                    taken.setdefault((name, way.__name__), []).append(measured)
    for (name, way), rounds in taken.items():
        print(row(name, way, rounds), flush=True)


if __name__ == "__main__":
    main()
