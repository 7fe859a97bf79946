"""A stored step is answered as it was sampled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lmm_r1.errors import UserError
from lmm_r1.rollout.replay_engine import ReplayEngine
from lmm_r1.rollout.store import RolloutStore
from lmm_r1.types import Completion, Group, Problem, Sampling, Score


def a_group(name: str, step: int, text: str = "t") -> Group:
    completions = [Completion((step, i), (-0.5, -1.0), f"{text}{i}", "stop", step) for i in range(3)]
    return Group(Problem(name, "?", "7"), (1, 2), completions, [Score(1.0, {}, True, "ok")] * 3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store = RolloutStore(tmp_path / "rollouts")
    store.write([a_group("a", 4), a_group("twice", 4, "first")], 4, 0)
    store.write([a_group("b", 4), a_group("twice", 4, "second")], 4, 1)
    store.write([a_group("a", 5)], 5, 0)
    RolloutStore(tmp_path / "validation").write([a_group("held out", 4)], 4, 0)
    return tmp_path


def test_validation_is_replayed_too(folder: Path) -> None:
    engine = ReplayEngine(folder)
    engine.load_weights({}, 4)
    (group,) = engine.generate([Problem("held out", "?", "7")], Sampling(1, 0.0, 8), [0])
    assert group.completions == a_group("held out", 4).completions[:1]


def test_the_loaded_step_is_replayed_by_problem(folder: Path) -> None:
    engine = ReplayEngine(folder)
    for step, names in ((4, ["b", "a"]), (5, ["a"])):
        engine.load_weights({}, step)
        problems = [Problem(name, "?", "7") for name in names]
        groups = engine.generate(problems, Sampling(3, 1.0, 8), [0] * len(names))
        assert groups == [replace(a_group(name, step), scores=[]) for name in names]


def test_a_problem_drawn_twice_gets_both_of_its_groups(folder: Path) -> None:
    engine = ReplayEngine(folder)
    twice = [Problem("twice", "?", "7")] * 2
    for _ in range(2):
        groups = engine.generate(twice, Sampling(2, 1.0, 8), [0, 0])
        assert [[one.text for one in group.completions] for group in groups] == [
            ["first0", "first1"],
            ["second0", "second1"],
        ]


@pytest.mark.parametrize(("name", "samples", "step"), [("unknown", 3, 4), ("a", 4, 4), ("a", 3, 6)])
def test_what_is_not_stored_is_refused(folder: Path, name: str, samples: int, step: int) -> None:
    engine = ReplayEngine(folder)
    engine.load_weights({}, step)
    with pytest.raises(UserError):
        engine.generate([Problem(name, "?", "7")], Sampling(samples, 1.0, 8), [0])


def test_a_replay_has_the_pictures_of_the_data_set_and_they_must_be_the_stored_ones(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (600, 900, 3), dtype=np.uint8)
    problem = Problem("p", "<image>?", "7", images=(Image.fromarray(pixels),))
    group = replace(a_group("p", 4), problem=problem, scores=[])
    RolloutStore(tmp_path / "rollouts").write([group], 4, 0)
    engine = ReplayEngine(tmp_path)
    assert engine.generate([problem], Sampling(3, 1.0, 8), [0]) == [group]
    pixels[300, 400] += 1
    for images in ((Image.fromarray(pixels),), (), (*problem.images, *problem.images)):
        with pytest.raises(UserError, match="problem p has other pictures now"):
            engine.generate([replace(problem, images=images)], Sampling(3, 1.0, 8), [0])


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no rollouts"):
        ReplayEngine(tmp_path / "nowhere")
