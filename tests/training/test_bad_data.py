"""A file with every kind of bad row, through `train.py` and `eval.py`."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from lmm_r1.data.local import LocalDataset
from lmm_r1.training.batch import PromptSchedule
from tests.running import run
from tests.training.running import SMALL, metrics, train

pytestmark = pytest.mark.slow

HELD_OUT, ROWS = 4, 30
BAD = {
    2: {"image": "cut.png"},
    HELD_OUT: {"question": "How many? " * 900},
    HELD_OUT + 1: {"image": "wide.png"},
    HELD_OUT + 2: {"image": ["picture_0.png", "picture_1.png"]},
    HELD_OUT + 3: {"question": "What is <|image_pad|>?"},
    HELD_OUT + 4: {"image": "gone.png"},
    HELD_OUT + 5: {"question": "<image><image>?"},
    HELD_OUT + 6: {"image": "empty.png"},
    HELD_OUT + 7: {"answer": "\\frac{"},
}
"""By place in the file. The first is held out, and only decoding shows it."""
RUN = ("stage=mgt", "init_from=null", "dataset=local", *SMALL, "dataset.validation_size=4", "trainer.steps=3")


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    """Three rows that the first two steps ask are cut as well."""
    folder = tmp_path_factory.mktemp("data")
    rows = []
    for place in range(ROWS):
        Image.effect_noise((56, 56), 50).convert("RGB").save(folder / f"picture_{place}.png")
        row = {"question": f"How many? ({place})", "answer": str(place), "image": f"picture_{place}.png"}
        rows.append(row | BAD.get(place, {}))
    cut(folder / "picture_0.png", folder / "cut.png")
    (folder / "empty.png").write_bytes(b"")
    Image.new("RGB", (603, 3)).save(folder / "wide.png")
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    good = LocalDataset(path)
    places = [
        index for index in range(len(good)) if good.line(index) - 1 >= HELD_OUT and good.line(index) - 1 not in BAD
    ]
    keys = [good.order_keys()[index] for index in places]
    schedule = PromptSchedule(
        size=len(keys), prompts_per_step=4, steps=3, first_step=0, seed=0, rank=0, world_size=1, keys=keys
    )
    for index in (schedule.asked(0)[1], schedule.asked(1)[0], schedule.asked(1)[3]):
        picture = folder / f"picture_{good.line(places[index]) - 1}.png"
        cut(picture, picture)
    return path


def cut(picture: Path, to: Path) -> None:
    whole = picture.read_bytes()
    to.write_bytes(whole[: len(whole) // 2])


def listed(folder: Path) -> list[tuple]:
    rows = [json.loads(line) for line in (folder / "bad_rows.jsonl").read_text().splitlines()]
    return [(row["part"], row["line"], row["reason"], row["found"]) for row in rows]


def asked(folder: Path) -> list[list[str]]:
    """The problems of each step, over all processes."""
    steps: dict[str, set[str]] = {}
    for path in (folder / "rollouts").glob("*.parquet"):
        steps.setdefault(path.name[:11], set()).update(pd.read_parquet(path)["problem"])
    return [sorted(steps[name]) for name in sorted(steps)]


@pytest.fixture(scope="module")
def by_two(file, tmp_path_factory) -> Path:
    """The folder of a run by two processes that met too many bad rows and went on when it was allowed more."""
    root = tmp_path_factory.mktemp("two")
    shared = (f"output_root={root}", "trainer.devices=2")
    output = run(
        "train.py", *RUN, *shared, f"dataset.path={file}", "max_bad_rows=1", "trainer.checkpoint_every=9", expect=2
    )
    assert "error: 3 rows have proved bad when they were read, more than max_bad_rows=1" in output
    assert "Traceback" not in output
    folder = (root / "mgt" / "latest").resolve()
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["step_000001.ckpt"]
    assert len(listed(folder)) == 12
    train("stage=mgt", "resume=latest", f"output_root={root}", "max_bad_rows=3")
    return folder


def test_a_run_leaves_out_what_cannot_be_used_however_many_processes_and_interruptions(file, by_two, tmp_path):
    output = train(*RUN, f"output_root={tmp_path}", f"dataset.path={file}")
    folder = tmp_path / "mgt" / "latest"
    assert "training data" in output and "8 of 26 rows cannot be used" in output
    reasons = {line: (part, reason, found) for part, line, reason, found in listed(folder)}
    before, cut_short = "before the first step", "picture that cannot be read"
    assert reasons.pop(3) == ("validation", cut_short, "step 0")
    assert [reasons.pop(HELD_OUT + place + 1) for place in range(8)] == [
        ("training", "prompt that is too long", before),
        ("training", "picture of a shape that the model cannot take", before),
        ("training", "more pictures than the engine takes", before),
        ("training", "text that holds a token of vision", before),
        ("training", "picture file missing", before),
        ("training", "2 <image> for 1 pictures", before),
        ("training", cut_short, before),
        ("training", "gold that does not verify against itself", before),
    ]
    assert sorted(reasons.values()) == [("training", cut_short, f"step {step}") for step in (1, 2, 2)]
    rows = metrics(folder)
    assert [float(row["data/bad_rows"] or 0) for row in rows] == [0, 1, 2, 0]
    assert [float(row["validation/not_answered"] or 0) for row in rows] == [1, 0, 1, 1]
    assert all(len(problems) == 4 for problems in asked(folder))
    # The same by two processes, one of them interrupted by its bound.
    assert listed(by_two) == listed(folder) and asked(by_two) == asked(folder)
    for left, right in zip(rows, metrics(by_two), strict=True):
        for name in ("data/bad_rows", "validation/not_answered", "reward/mean", "policy/loss"):
            assert float(left[name] or 0) == pytest.approx(float(right[name] or 0), rel=1e-3, abs=1e-5), name


def test_an_evaluation_counts_apart_what_it_could_not_ask(file, tmp_path):
    output = run(
        "eval.py",
        "model.path=models/tiny",
        "benchmark=local",
        f"benchmark.path={file}",
        "batch_size=8",
        "rollout.max_new_tokens=8",
        f"output_root={tmp_path}",
    )
    folder = tmp_path / "eval" / "latest"
    results = json.loads((folder / "results.json").read_text())
    # Golds are not looked at.
    assert results["not_answered"] == {
        "prompt that is too long": 1,
        "picture of a shape that the model cannot take": 1,
        "more pictures than the engine takes": 1,
        "text that holds a token of vision": 1,
        "picture file missing": 1,
        "2 <image> for 1 pictures": 1,
        "picture that cannot be read": 5,
    }
    assert {cell["problems"] for cell in results["cells"]} == {ROWS - 11}
    assert "not answered and not counted: 11" in output
    assert len(listed(folder)) == 11
