"""Laws of the generated problems."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest

from lmm_r1.data.synthetic import FAMILIES, SyntheticDataset, TraceDataset
from lmm_r1.data.synthetic.base import split_of
from lmm_r1.errors import UserError
from lmm_r1.types import IMAGE_MARKER, RENDERINGS

TINY = ("chain", "grid", "bars", "count", "shape")
SPLITS = ("train", "validation", "test")


def make(split="validation", size=16, families=TINY, renderings=RENDERINGS, difficulty=(2, 5), pixels=84, seed=0):
    return SyntheticDataset(split, size, families, renderings, difficulty, pixels, seed)


def texts(problems) -> list[tuple[str, str, str]]:
    return [(problem.id, problem.question, problem.answer) for problem in problems]


def pixels_of(problem) -> bytes:
    return b"".join(image.tobytes() for image in problem.images)


def test_the_same_arguments_give_the_same_problems_in_any_order_of_access():
    for split in SPLITS:
        forwards, scattered = make(split), make(split)
        order = random.Random(1).sample(range(len(scattered)), len(scattered))
        shuffled = {index: scattered[index] for index in order}
        for index in range(len(forwards)):
            assert texts([forwards[index]]) == texts([shuffled[index]])
            assert pixels_of(forwards[index]) == pixels_of(shuffled[index])


def test_drawing_leaves_the_global_random_state_alone():
    random.seed(5)
    before = random.getstate()
    make("train")[3]
    assert random.getstate() == before


def test_another_seed_gives_other_problems():
    assert texts(make(seed=0)) != texts(make(seed=1))


@pytest.mark.parametrize("family", list(FAMILIES))
def test_no_latent_problem_is_in_two_splits_under_any_seed(family):
    latents = {split: set() for split in SPLITS}
    for seed in range(4):
        for split, size in zip(SPLITS, (300, 12, 12), strict=True):
            problems = make(split, size, [family], ["text_only"], seed=seed)
            latents[split] |= {problems.item(index).latent for index in range(len(problems))}
    for split in SPLITS:
        assert all(split_of(FAMILIES[family], latent) == split for latent in latents[split])
    assert not latents["train"] & (latents["validation"] | latents["test"])
    assert not latents["validation"] & latents["test"]


@pytest.mark.parametrize("family", list(FAMILIES))
def test_no_text_of_validation_is_seen_in_training(family):
    training = {problem.question for problem in make("train", 2000, [family], ["text_only"])}
    assert not training & {problem.question for problem in make("validation", 20, [family], ["text_only"])}


def test_eight_in_ten_latent_problems_are_for_training():
    chain, source = FAMILIES["chain"], random.Random(0)
    splits = [split_of(chain, chain.sample(source, 5)) for _ in range(4000)]
    assert abs(splits.count("train") / 4000 - 0.8) < 0.03
    assert abs(splits.count("test") / 4000 - 0.1) < 0.03


def test_validation_shows_every_latent_problem_in_every_rendering_and_repeats_none():
    problems = make("test", 12, list(FAMILIES))
    assert len(problems) == 12 * len(RENDERINGS)
    latents = []
    for start in range(0, len(problems), len(RENDERINGS)):
        items = [problems.item(start + offset) for offset in range(len(RENDERINGS))]
        assert tuple(item.rendering for item in items) == RENDERINGS
        assert len({item.latent for item in items}) == 1
        assert len({problems[start + offset].answer for offset in range(len(RENDERINGS))}) == 1
        latents.append(items[0].latent)
    assert len(set(latents)) == 12


def test_validation_takes_the_families_in_turn():
    problems = make("validation", 2 * len(TINY), TINY, ["text_only"])
    assert [problem.family for problem in problems] == [*TINY, *TINY]


def test_ids_are_unique_and_an_index_past_the_end_is_refused():
    problems = make("train", 50)
    assert len({problem.id for problem in problems}) == 50
    with pytest.raises(IndexError):
        problems[50]


@pytest.mark.parametrize("family", list(FAMILIES))
@pytest.mark.parametrize("pixels", [84, 112, 336])
def test_there_is_one_rgb_figure_of_the_wanted_size_for_each_marker(family, pixels):
    for problem in make("test", 2, [family], pixels=pixels):
        assert problem.question.count(IMAGE_MARKER) == len(problem.images)
        assert len(problem.images) == (0 if problem.rendering == "text_only" else 1)
        for image in problem.images:
            assert 0.9 < image.width * image.height / pixels**2 < 1.5 and image.mode == "RGB"
            assert np.asarray(image).std() > 5


def numbers(text: str) -> list[str]:
    return re.findall(r"\d+", text)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_the_text_loses_its_values_step_by_step(family):
    problems = make("test", 12, [family], difficulty=(2, 4))
    for start in range(0, len(problems), len(RENDERINGS)):
        text = {problems[start + at].rendering: problems[start + at].question for at in range(len(RENDERINGS))}
        assert text["text_dominant"] == IMAGE_MARKER + text["text_only"]
        assert len(text["text_lite"]) <= len(text["text_dominant"])
        assert len(numbers(text["text_lite"])) < len(numbers(text["text_dominant"])) or family in ("count", "shape")
        assert not numbers(text["vision_dominant"])
        assert text["vision_only"] == IMAGE_MARKER
    instructions = {problem.question for problem in make("test", 12, [family], ["vision_dominant"])}
    assert len(instructions) == 1


def cells(image, side: int = 28) -> np.ndarray:
    """`[cells, side, side, 3]` of a board or strip, in reading order; a visual token covers 28 pixels each way."""
    array = np.asarray(image).astype(int)
    rows, columns = array.shape[0] // side, array.shape[1] // side
    return array.reshape(rows, side, columns, side, 3).swapaxes(1, 2).reshape(rows * columns, side, side, 3)


def test_a_chain_puts_every_symbol_on_its_own_visual_token():
    problems = make("test", 20, ["chain"], ["text_lite", "vision_only"])
    for index in range(len(problems)):
        item = problems.item(index)
        terms = len(item.latent.numbers)
        darkest = cells(problems[index].images[0]).min(axis=(1, 2, 3))
        inked = {cell for cell in range(9) if darkest[cell] < 150}
        expected = set(range(2 * terms - 1))
        if item.rendering == "text_lite":
            expected = {cell for cell in expected if cell % 2 == 0}
        assert inked == expected


def test_a_count_board_keeps_its_first_two_cells_for_what_is_asked():
    problems = make("test", 20, ["count"], ["text_lite", "vision_only"])
    for index in range(len(problems)):
        item = problems.item(index)
        spread = cells(problems[index].images[0]).std(axis=(1, 2, 3))
        marked = len(item.latent.wanted) if item.rendering == "vision_only" else 0
        assert [bool(value > 5) for value in spread[:2]] == [at < marked for at in range(2)]


def test_figures_of_the_same_latent_vary_over_training():
    dataset = make("train", 400, ["chain"], ["vision_only"], difficulty=(2, 2))
    seen: dict = {}
    for index in range(len(dataset)):
        seen.setdefault(dataset.item(index).latent, []).append(pixels_of(dataset[index]))
    repeated = [figures for figures in seen.values() if len(figures) > 1]
    assert repeated and all(len(set(figures)) > 1 for figures in repeated)


@pytest.mark.parametrize("rendering", RENDERINGS)
def test_a_trace_ends_in_the_gold_and_its_share_of_steps_is_kept(rendering):
    traces = TraceDataset("train", 400, TINY, RENDERINGS, (2, 5), 84, 0, {name: 0.3 for name in RENDERINGS})
    glances = 0
    for index in range(len(traces)):
        problem, response = traces[index]
        assert re.fullmatch(r"<think>[^<]+</think><answer>\w+</answer>", response)
        assert response.endswith(f"<answer>{problem.answer}</answer>")
        glances += "At a glance." in response
    assert abs(glances / len(traces) - 0.7) < 0.08
    wanted = {name: 1.0 if name == rendering else 0.0 for name in RENDERINGS}
    for problem, response in TraceDataset("train", 60, TINY, RENDERINGS, (2, 5), 84, 0, wanted):
        assert ("At a glance." not in response) == (problem.rendering == rendering)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_a_worked_trace_is_compact_and_its_equations_hold(family):
    traces = TraceDataset("test", 25, [family], ["text_only", "vision_only"], (2, 5), 84, 0, 1.0)
    checked = 0
    for problem, response in traces:
        if family in TINY:
            inside = re.sub(r"</?(think|answer)>", " ", response)
            assert len(re.findall(r"\w+|[^\w\s]", inside)) <= 50
        assert ("I see" in response or family == "function") or problem.rendering == "text_only"
        sentences = re.split(r"\. ?", re.search("<think>(.*)</think>", response)[1])
        equations = [sentence.removeprefix("I see ") for sentence in sentences]
        for equation in (sentence for sentence in equations if re.fullmatch(r"[-+*/^=\d ]+", sentence)):
            sides = {eval(side.replace("^", "**")) for side in equation.split("=")}
            assert len(sides) == 1, response
            checked += 1
    assert checked >= 5 or family == "shape"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"split": "dev"}, "dataset.split=dev"),
        ({"size": 0}, "dataset.validation_size=0"),
        ({"families": ["chian"]}, "dataset.families=['chian']"),
        ({"families": []}, "dataset.families=[]"),
        ({"renderings": ["text"]}, "dataset.renderings=['text']"),
        ({"difficulty": (7, 9)}, "dataset.difficulty=[7, 9]"),
        ({"difficulty": (5, 3)}, "dataset.difficulty=[5, 3]"),
        ({"pixels": 4}, "dataset.image_size=4"),
    ],
)
def test_impossible_arguments_are_refused_by_name(change, named):
    with pytest.raises(UserError, match=re.escape(named)):
        make(**change)


def test_a_split_with_too_few_different_problems_says_so():
    with pytest.raises(UserError, match=r"benchmark\.size=500: the family chain has fewer"):
        make("test", 500, ["chain"], ["text_only"], difficulty=(2, 2))


def test_a_share_of_steps_must_cover_the_renderings():
    with pytest.raises(UserError, match="steps_share: vision_only"):
        TraceDataset("train", 4, TINY, ["text_only", "vision_only"], (2, 3), 84, 0, {"text_only": 0.5})
