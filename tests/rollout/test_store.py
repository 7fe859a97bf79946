"""What is written is read, whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageDraw

from lmm_r1.answer_rules import AnswerRules
from lmm_r1.errors import UserError
from lmm_r1.rollout.previews import pixel_hash
from lmm_r1.rollout.rows import to_rows
from lmm_r1.rollout.store import RolloutStore
from lmm_r1.types import Completion, Group, Problem, Score

SHARD_0 = "step-000000-rank-0000.parquet"


def picture(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (28, 56, 3), dtype=np.uint8))


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)


def a_group(name: str, samples: int = 2, images: tuple[Image.Image, ...] = (), scored: bool = True) -> Group:
    problem = Problem(
        name,
        "<image>" * len(images) + "Ünd \u2028?",
        "7",
        "choice",
        images,
        ("a", "b"),
        "synthetic",
        "chain",
        "vision_only",
    )
    completions = [
        Completion((5, 6, i), (-0.5, -1.25, float(np.float32(-0.1))), f"text {i}\n", "stop" if i else "length", 3)
        for i in range(samples)
    ]
    scores = [Score(0.5 * i, {"accuracy": float(i), "format": 1.0}, bool(i), "ok") for i in range(samples)]
    return Group(problem, (1, 2, 3), completions, scores if scored else [])


def test_what_is_written_is_read(tmp_path: Path) -> None:
    groups = [
        a_group("text"),
        a_group("images", images=(picture(0), picture(1))),
        a_group("unscored", samples=1, scored=False),
    ]
    store = RolloutStore(tmp_path / "rollouts")
    store.write(groups, step=12, rank=0)
    assert store.read_step(12) == groups


def test_the_rules_of_a_problem_are_stored(tmp_path: Path) -> None:
    rules = AnswerRules(absolute_tolerance=0.5, percent="fraction", simulator="games.walk")
    completion = Completion((1,), (0.0,), "5", "stop", 0)
    store = RolloutStore(tmp_path)
    store.write([Group(Problem("p", "?", "5", rules=rules), (1,), [completion])], step=0, rank=0)
    assert store.read_step(0)[0].problem.rules == rules


def test_terms_of_one_problem_are_not_read_into_another(tmp_path: Path) -> None:
    short, full = a_group("short"), a_group("full")
    short.scores = [Score(0.0, {"accuracy": 0.0}, False, "timeout")] * 2
    store = RolloutStore(tmp_path)
    store.write([short, full], 0, 0)
    store.write([short], 0, 1)
    assert [group.scores for group in store.read_step(0)] == [short.scores, full.scores, short.scores]


def test_ranks_are_read_together_and_steps_apart(tmp_path: Path) -> None:
    store = RolloutStore(tmp_path)
    assert store.steps() == []
    for step in (10, 2):
        for rank in (1, 0):
            store.write([a_group(f"{step}-{rank}")], step, rank)
    assert store.steps() == [2, 10]
    assert [group.problem.id for group in store.read_step(10)] == ["10-0", "10-1"]
    with pytest.raises(UserError, match="step 3"):
        store.read_step(3)


def test_a_step_written_again_replaces_what_was_there(tmp_path: Path) -> None:
    store = RolloutStore(tmp_path)
    store.write([a_group("old"), a_group("older")], 1, 0)
    store.write([a_group("new")], 1, 0)
    assert [group.problem.id for group in store.read_step(1)] == ["new"]


def test_truncation_drops_later_steps_and_half_written_files(tmp_path: Path) -> None:
    store = RolloutStore(tmp_path)
    for step in range(4):
        store.write([a_group("p", images=(picture(step),))], step, 0)
    half_written = [tmp_path / "step-000009-rank-0000.parquet.0.partial", tmp_path / "images" / "ab.png.0.partial"]
    for path in half_written:
        path.write_bytes(b"PAR1")
    assert store.steps() == [0, 1, 2, 3]
    store.truncate_after(1)
    assert store.steps() == [0, 1]
    assert not any(path.exists() for path in half_written)
    assert store.read_step(1) == [a_group("p", images=(picture(1),))]


DAMAGES = {
    "truncated": lambda content: content[:-300],
    "empty": lambda content: b"",
    "never written to the disk": lambda content: bytes(len(content)),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_costs_its_own_rows_alone_and_is_named(tmp_path: Path, caplog, damage) -> None:
    store = RolloutStore(tmp_path)
    for step, rank in ((0, 0), (1, 0), (1, 1), (2, 0)):
        path = store.write([a_group(f"{step}-{rank}")], step, rank)
        if (step, rank) in ((0, 0), (1, 0)):
            path.write_bytes(damage(path.read_bytes()))
    read = {step: [group.problem.id for group in groups] for step, groups in store.read_steps(store.steps())}
    assert read == {1: ["1-1"], 2: ["2-0"]}
    assert "step-000000-rank-0000.parquet: damaged" in caplog.text
    with pytest.raises(UserError, match="step 0 is damaged"):
        store.read_step(0)


def test_a_damaged_file_that_is_set_aside_counts_as_not_stored(tmp_path: Path) -> None:
    store = RolloutStore(tmp_path)
    paths = [store.write([a_group("p")], step, 0) for step in range(2)]
    paths[0].write_bytes(b"PAR1")
    store.set_damaged_aside()
    assert store.steps() == [1]
    assert paths[0].with_name(f"{paths[0].name}.damaged").read_bytes() == b"PAR1"


def test_a_full_disk_is_one_line_and_leaves_the_steps_before_it(tmp_path: Path, small_disk) -> None:
    store = RolloutStore(small_disk(1) / "rollouts")
    store.write([a_group("small")], 0, 0)
    many = tuple(Image.fromarray(pixels) for pixels in noise(12, 512, 512))
    with pytest.raises(UserError, match="jpeg cannot be written: no space left"):
        store.write([a_group("many", images=many)], 1, 0)
    assert store.steps() == [0] and store.read_step(0) == [a_group("small")]
    assert list(store.folder.rglob("*.partial")) == []


def test_pandas_reads_one_row_a_completion(tmp_path: Path) -> None:
    path = RolloutStore(tmp_path).write([a_group("a", samples=3), a_group("b", images=(picture(0),))], 7, 1)
    frame = pd.read_parquet(path)
    assert len(frame) == 5
    assert frame["problem"].tolist() == ["a", "a", "a", "b", "b"]
    assert frame["sample"].tolist() == [0, 1, 2, 0, 1]
    assert frame["reward/accuracy"].tolist() == [0.0, 1.0, 2.0, 0.0, 1.0]
    assert set(frame["step"]) == {7} and set(frame["rank"]) == {1}
    assert (tmp_path / frame["images"].iloc[-1][0]).is_file()


def test_a_picture_is_stored_once(tmp_path: Path) -> None:
    store = RolloutStore(tmp_path)
    for step in range(3):
        store.write([a_group("p", images=(picture(0), picture(0)))], step, 0)
    assert len(list((tmp_path / "images").iterdir())) == 1


def test_a_large_picture_is_kept_small_under_the_hash_of_its_own_pixels(tmp_path: Path) -> None:
    large = Image.fromarray(noise(960, 1280))
    store = RolloutStore(tmp_path)
    for step in range(2):
        store.write([a_group("p", images=(large, picture(0)))], step, 0)
    (shown, small) = store.read_step(1)[0].problem.images
    assert shown.size == (512, 384) and small == picture(0)
    assert store.picture_hashes(1) == {"p": (pixel_hash(large), pixel_hash(picture(0)))}
    sizes = [path.stat().st_size for path in (tmp_path / "images").iterdir()]
    assert len(sizes) == 2 and max(sizes) < large.width * large.height / 5


def test_a_drawing_of_the_size_of_a_preview_is_read_back_to_the_pixel(tmp_path: Path) -> None:
    drawing = Image.new("RGB", (512, 512), "white")
    ImageDraw.Draw(drawing).ellipse((50, 90, 400, 410), outline="red", width=3)
    store = RolloutStore(tmp_path)
    store.write([a_group("p", images=(drawing,))], 0, 0)
    assert store.read_step(0)[0].problem.images == (drawing,)


def test_rollouts_stored_with_whole_pictures_are_read_and_gone_on_with(tmp_path: Path) -> None:
    large = Image.fromarray(noise(600, 800))
    (tmp_path / "images").mkdir()
    whole = f"images/{pixel_hash(large)}.png"
    large.save(tmp_path / whole)
    pq.write_table(to_rows([a_group("p", images=(large,))], 0, 0, lambda _: whole), tmp_path / SHARD_0)
    store = RolloutStore(tmp_path)
    assert store.read_step(0) == [a_group("p", images=(large,))]
    store.write([a_group("q", images=(large,))], 1, 0)
    assert [path.name for path in (tmp_path / "images").iterdir()] == [Path(whole).name]
    assert store.read_step(1) == [a_group("q", images=(large,))]


@pytest.mark.parametrize(
    "harm", [Path.unlink, lambda path: path.write_bytes(b""), lambda path: path.write_bytes(b"?" * 99)]
)
def test_a_lost_picture_is_named_and_left_out(tmp_path: Path, caplog, harm) -> None:
    store = RolloutStore(tmp_path)
    store.write([a_group("p", images=(picture(0), picture(1))), a_group("q", images=(picture(0),))], 0, 0)
    lost = tmp_path / "images" / f"{pixel_hash(picture(0))}.png"
    harm(lost)
    assert [group.problem.images for group in store.read_step(0)] == [(picture(1),), ()]
    assert f"{lost} and 1 more pictures: missing or damaged" in caplog.text and len(caplog.records) == 1


def test_texts_are_read_without_opening_a_picture(tmp_path: Path, caplog) -> None:
    store = RolloutStore(tmp_path)
    store.write([a_group("p", images=(picture(0),))], 0, 0)
    for path in (tmp_path / "images").iterdir():
        path.unlink()
    ((step, (group,)),) = store.read_steps([0], pictures=False)
    assert (step, group.completions) == (0, a_group("p").completions) and caplog.records == []


@pytest.mark.slow
def test_a_killed_writer_leaves_whole_steps(tmp_path: Path, repository: Path) -> None:
    folder = tmp_path / "rollouts"
    script = f"""
import sys
sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(repository / "src")!r}]
from lmm_r1.rollout.background_writer import BackgroundWriter
from test_store import RolloutStore, a_group, picture
groups = [a_group(str(i), samples=32, images=(picture(i),)) for i in range(32)]
writer = BackgroundWriter(RolloutStore({str(folder)!r}))
for step in range(10**6):
    writer.write(groups, step, 0)
"""
    writer = subprocess.Popen([sys.executable, "-c", script])
    store = RolloutStore(folder)
    try:
        while len(store.steps()) < 3:
            assert writer.poll() is None
            time.sleep(0.01)
    finally:
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
    for step in store.steps():
        groups = store.read_step(step)
        assert [len(group.completions) for group in groups] == [32] * 32
        assert [group.problem.images[0] for group in groups] == [picture(i) for i in range(32)]
