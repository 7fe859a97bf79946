"""Rollouts on disk: one parquet file for each step and rank, written as they are made and readable by pandas.

    <folder>/step-000012-rank-0000.parquet   one row a completion
    <folder>/images/<sha256>.png or .jpeg    each picture once, small, named by the pixels that it had

The data set keeps its pictures; here each has its hash, by which `replay_engine` knows it again, and a preview for
reports. A file appears under its name when it is complete, so a killed run leaves whole steps and at most a `*.partial`
file, which readers pass over and `truncate_after` removes. A damaged file costs its own rows alone.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from lmm_r1.atomic_files import remove_partial, replacing
from lmm_r1.errors import UserError
from lmm_r1.rollout.previews import encoded, pixel_hash
from lmm_r1.rollout.rows import from_rows, to_rows
from lmm_r1.types import Group

log = logging.getLogger(__name__)

SHARD = re.compile(r"step-(\d{6,})-rank-(\d{4,})\.parquet")

PREVIEW_SIDE = 512
"""Pixels of the longer side of a stored picture."""

MOST_PNG_BYTES = 65_536
"""Up to this a picture of `PREVIEW_SIDE` or less is read back as it was; above, it becomes a JPEG."""

DAMAGED = ".damaged"
"""The end of a damaged file's name, once it is set aside."""


class RolloutStore:
    """The rollouts of one run, or of one evaluation. Any number of processes may write, each under its own rank."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def write(self, groups: Sequence[Group], step: int, rank: int) -> Path:
        """Store the groups that `rank` sampled at `step`, in place of any it stored there before; returns the file.

        Log-probabilities are kept in float32, as they were sampled; a lone surrogate in a text becomes U+FFFD; a large
        picture comes back as its preview; everything else is read back as it was.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        shard = self.folder / f"step-{step:06d}-rank-{rank:04d}.parquet"
        table = to_rows(groups, step, rank, self._write_image)
        with replacing(shard) as unfinished:
            pq.write_table(table, unfinished, compression="zstd")
        return shard

    def steps(self) -> list[int]:
        """The stored steps in ascending order."""
        return sorted({step for step, _, _ in self._shards()})

    def read_step(self, step: int) -> list[Group]:
        """The groups of all ranks, rank by rank; a damaged file or picture is named in the log and left out.

        Raises `UserError` where nothing can be read of `step`.
        """
        groups = next((groups for _, groups in self.read_steps([step])), None)
        if groups is None:
            steps = self.steps()
            why = "damaged" if step in steps else f"not stored; stored are the steps {steps}"
            raise UserError(f"{self.folder}: step {step} is {why}")
        return groups

    def read_steps(self, steps: Iterable[int], *, pictures: bool = True) -> Iterator[tuple[int, list[Group]]]:
        """Each of these steps with its groups, as `read_step` gives them, without those that cannot be read.

        Without `pictures` none is opened, and problems have no images.
        """
        for step, table in self._tables(steps):
            lost: list[Path] = []
            groups = from_rows(table, partial(self._read_image, lost=lost) if pictures else None)
            if lost:
                log.warning("%s and %d more pictures: missing or damaged, and left out", lost[0], len(lost) - 1)
            yield step, groups

    def picture_hashes(self, step: int) -> dict[str, tuple[str, ...]]:
        """The `pixel_hash` of each picture, by the id of its problem, as the pictures were when they were stored."""
        names = [row for _, table in self._tables([step]) for row in table.select(["problem", "images"]).to_pylist()]
        return {row["problem"]: tuple(Path(name).stem for name in row["images"]) for row in names}

    def set_damaged_aside(self) -> None:
        """Give files that cannot be read another name, so that their steps count as not stored.

        Every file is read. For a writer that makes them again: one process calls it, before any writes.
        """
        for _, _, path in self._shards():
            if _read_shard(path) is None:
                path.replace(path.with_name(f"{path.name}{DAMAGED}"))

    def truncate_after(self, step: int) -> None:
        """Drop the steps after `step` and what a killed process left half-written.

        For a run that resumes: one process calls it, before any writes.
        """
        for stored, _, path in self._shards():
            if stored > step:
                path.unlink()
        for folder in (self.folder, self.folder / "images"):
            remove_partial(folder)

    def _tables(self, steps: Iterable[int]) -> Iterator[tuple[int, pa.Table]]:
        for step in steps:
            shards = sorted((rank, path) for stored, rank, path in self._shards() if stored == step)
            tables = [table for _, path in shards if (table := _read_shard(path)) is not None]
            if tables:
                yield step, pa.concat_tables(tables, promote_options="default")

    def _shards(self) -> list[tuple[int, int, Path]]:
        if not self.folder.is_dir():
            return []
        named = [(SHARD.fullmatch(path.name), path) for path in self.folder.iterdir()]
        return [(int(match[1]), int(match[2]), path) for match, path in named if match]

    def _write_image(self, image: Image.Image) -> str:
        name = f"images/{pixel_hash(image)}"
        for kind in ("png", "jpeg"):
            if (self.folder / f"{name}.{kind}").exists():
                return f"{name}.{kind}"
        kind, content = encoded(image, PREVIEW_SIDE, MOST_PNG_BYTES)
        path = self.folder / f"{name}.{kind}"
        path.parent.mkdir(exist_ok=True)
        with replacing(path) as unfinished:
            unfinished.write_bytes(content)
        return f"{name}.{kind}"

    def _read_image(self, name: str, lost: list[Path]) -> Image.Image | None:
        try:
            with Image.open(self.folder / name) as image:
                return image.convert("RGB")
        except Exception:  # Pillow's decoders raise whatever a damaged file leads them to.
            lost.append(self.folder / name)
            return None


def _read_shard(path: Path) -> pa.Table | None:
    """None, with a line in the log, where the file is damaged."""
    try:
        return pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        log.warning("%s: damaged and left out (%s)", path, str(error).splitlines()[0])
        return None
