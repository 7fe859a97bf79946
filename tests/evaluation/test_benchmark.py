"""Laws of generation and scoring."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from lmm_r1.errors import BadRowError, UserError
from lmm_r1.evaluation.bad_rows import BAD_ROWS, read_bad_rows
from lmm_r1.evaluation.benchmark import evaluate, read_outcomes, run_benchmark, score_benchmark
from lmm_r1.evaluation.results import Results
from lmm_r1.types import Sampling
from tests.evaluation.scripted import ExactScorer, HarshScorer, ScriptedEngine, Sums

GREEDY = Sampling(samples=1, temperature=0.0, max_new_tokens=8)
FOUR = Sampling(samples=4, temperature=1.0, max_new_tokens=8)


@pytest.fixture
def sums() -> Sums:
    return Sums(10)


def test_every_problem_is_asked_once_and_counted(tmp_path, sums):
    engine = ScriptedEngine()
    results = evaluate(engine, sums, ExactScorer(), GREEDY, tmp_path, seed=0, batch_size=6)
    assert engine.asked == [sums[index].id for index in range(len(sums))]
    assert results.cell().problems == len(sums)
    assert results.cell(rendering="text_only").accuracy.mean == 1


def test_resuming_generates_only_what_is_missing(tmp_path, sums):
    with pytest.raises(KeyboardInterrupt):
        run_benchmark(ScriptedEngine(calls_before_interruption=2), sums, FOUR, tmp_path / "cut", 6, seed=3)
    second = ScriptedEngine()
    resumed = evaluate(second, sums, ExactScorer(), FOUR, tmp_path / "cut", seed=3, batch_size=6)
    assert second.asked == [sums[index].id for index in range(12, len(sums))]
    whole = evaluate(ScriptedEngine(), sums, ExactScorer(), FOUR, tmp_path / "whole", seed=3, batch_size=6)
    assert resumed == whole


def test_a_finished_generation_asks_nothing_more(tmp_path, sums):
    run_benchmark(ScriptedEngine(), sums, GREEDY, tmp_path, 6, seed=0)
    again = ScriptedEngine(calls_before_interruption=0)
    run_benchmark(again, sums, GREEDY, tmp_path, 6, seed=0)
    assert again.asked == []


def test_scoring_again_without_an_engine_gives_the_same_results(tmp_path, sums):
    first = evaluate(ScriptedEngine(), sums, ExactScorer(), FOUR, tmp_path, seed=0, batch_size=7)
    written = (tmp_path / "results.json").read_bytes()
    assert score_benchmark(tmp_path, ExactScorer()) == first
    assert (tmp_path / "results.json").read_bytes() == written


def test_another_reward_rescores_the_stored_answers(tmp_path, sums):
    evaluate(ScriptedEngine(), sums, ExactScorer(), GREEDY, tmp_path, seed=0, batch_size=7)
    harsh = score_benchmark(tmp_path, HarshScorer())
    assert harsh.cell().accuracy.mean == 0
    assert harsh.cell().format_rate is None
    assert all(outcome.format is None for outcome in read_outcomes(tmp_path))


def test_sampling_seeds_depend_on_the_problem_and_the_seed_alone(tmp_path, sums):
    seeds = {}
    for name, batch_size, seed in (("small", 1, 0), ("large", 20, 0), ("other", 20, 1)):
        engine = ScriptedEngine()
        run_benchmark(engine, sums, FOUR, tmp_path / name, batch_size, seed)
        seeds[name] = engine.seeds
    assert seeds["small"] == seeds["large"]
    assert not set(seeds["large"]) & set(seeds["other"])


def test_an_unfinished_generation_is_not_scored(tmp_path, sums):
    with pytest.raises(KeyboardInterrupt):
        run_benchmark(ScriptedEngine(calls_before_interruption=2), sums, GREEDY, tmp_path, 6, seed=0)
    with pytest.raises(UserError, match="2 of 4 shards"):
        score_benchmark(tmp_path, ExactScorer())


def test_a_damaged_shard_is_generated_again_and_never_scored(tmp_path, sums):
    first = evaluate(ScriptedEngine(), sums, ExactScorer(), GREEDY, tmp_path, seed=0, batch_size=6)
    shard = tmp_path / "completions" / "step-000001-rank-0000.parquet"
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"3 of 4 shards are stored and sound; python eval\.py resume="):
        score_benchmark(tmp_path, ExactScorer())
    again = ScriptedEngine()
    assert evaluate(again, sums, ExactScorer(), GREEDY, tmp_path, seed=0, batch_size=6) == first
    assert again.asked == [sums[index].id for index in range(6, 12)]


def test_two_generations_are_never_mixed(tmp_path, sums):
    run_benchmark(ScriptedEngine(), sums, GREEDY, tmp_path, 6, seed=0, provenance={"model": "a"})
    for changed in ({"seed": 1}, {"sampling": FOUR}, {"provenance": {"model": "b"}}, {"problems": Sums(4)}):
        arguments = {"problems": sums, "sampling": GREEDY, "seed": 0, "provenance": {"model": "a"}} | changed
        with pytest.raises(UserError, match=f"another {next(iter(changed))}.*choose another folder"):
            run_benchmark(ScriptedEngine(), folder=tmp_path, batch_size=6, **arguments)
    # An evaluation that noted less is continued all the same.
    more = {"model": "a", "data": "c"}
    run_benchmark(ScriptedEngine(), sums, GREEDY, tmp_path, 6, seed=0, provenance=more)


def test_damaged_results_are_named_with_their_cure(tmp_path, sums):
    evaluate(ScriptedEngine(), sums, ExactScorer(), GREEDY, tmp_path, seed=0, batch_size=6)
    for name, read in (
        ("outcomes.parquet", lambda: read_outcomes(tmp_path)),
        ("results.json", lambda: Results.from_json(tmp_path / "results.json")),
        ("generation.json", lambda: score_benchmark(tmp_path, ExactScorer())),
    ):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:-20])
        with pytest.raises(UserError, match=f"{name}: damaged; "):
            read()


def test_problems_with_one_id_are_refused(tmp_path):
    class Repeated(Sums):
        def __getitem__(self, index):
            return super().__getitem__(0)

    with pytest.raises(UserError, match="share the id even-0/text_only"):
        evaluate(ScriptedEngine(), Repeated(2), ExactScorer(), GREEDY, tmp_path, seed=0, batch_size=4)


def test_a_benchmark_without_problems_is_refused(tmp_path):
    with pytest.raises(UserError, match="no problems"):
        run_benchmark(ScriptedEngine(), Sums(0), GREEDY, tmp_path, 4, seed=0)


def test_scoring_a_folder_without_a_generation_says_so(tmp_path):
    with pytest.raises(UserError, match=r"generation\.json does not exist"):
        score_benchmark(tmp_path, ExactScorer())
    with pytest.raises(UserError, match=r"run eval\.py"):
        read_outcomes(tmp_path)


def test_results_survive_the_disk(tmp_path, sums):
    results = evaluate(
        ScriptedEngine(), sums, ExactScorer(), FOUR, tmp_path, 0, batch_size=8, provenance={"model": "tiny"}
    )
    assert Results.from_json(tmp_path / "results.json") == results
    assert json.loads((tmp_path / "results.json").read_text())["generation"]["provenance"] == {"model": "tiny"}


def test_outcomes_hold_one_row_a_completion(tmp_path, sums):
    evaluate(ScriptedEngine(), sums, ExactScorer(), FOUR, tmp_path, seed=0, batch_size=8)
    frame = pd.read_parquet(tmp_path / "outcomes.parquet")
    assert len(frame) == 4 * len(sums)
    assert set(frame["length"]) == {3}
    assert frame.groupby("problem")["sample"].apply(list).map(lambda samples: samples == [0, 1, 2, 3]).all()


class Torn(Sums):
    """Some of its problems cannot be read."""

    def __init__(self, latents: int, torn: set[int]) -> None:
        super().__init__(latents)
        self.torn = torn

    def __getitem__(self, index):
        if index in self.torn:
            raise BadRowError("torn", f"problem {index} is torn")
        return super().__getitem__(index)


def test_what_cannot_be_asked_is_counted_apart_and_changes_nothing_else(tmp_path, sums):
    engine, whole = ScriptedEngine(), ScriptedEngine()
    # A whole shard is torn, and a single problem.
    torn = Torn(10, {6, 7, 8, 9, 10, 11, 13})
    results = evaluate(engine, torn, ExactScorer(), GREEDY, tmp_path, seed=0, batch_size=6)
    run_benchmark(whole, sums, GREEDY, tmp_path / "whole", 6, seed=0)
    assert results.cell().problems == len(sums) - 7 and results.not_answered == {"torn": 7}
    assert (
        dict(zip(engine.asked, engine.seeds, strict=True)).items()
        <= dict(zip(whole.asked, whole.seeds, strict=True)).items()
    )
    assert Results.from_json(tmp_path / "results.json") == results
    assert "not answered and not counted: 7 (7 torn), see bad_rows.jsonl" in str(results.table().caption)
    assert [row.line for row in read_bad_rows(tmp_path / BAD_ROWS)] == [7, 8, 9, 10, 11, 12, 14]
    assert score_benchmark(tmp_path, ExactScorer()) == results


def test_a_problem_that_was_mended_before_it_was_asked_is_off_the_list(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_benchmark(ScriptedEngine(calls_before_interruption=1), Torn(10, {1, 7}), GREEDY, tmp_path, 6, seed=0)
    results = evaluate(ScriptedEngine(), Torn(10, {19}), ExactScorer(), GREEDY, tmp_path, seed=0, batch_size=6)
    assert [row.detail for row in read_bad_rows(tmp_path / BAD_ROWS)] == ["problem 1 is torn", "problem 19 is torn"]
    assert results.not_answered == {"torn": 2} and results.cell().problems == 18


def test_an_evaluation_that_answers_nothing_says_so(tmp_path):
    with pytest.raises(UserError, match=r"no problem could be asked; bad_rows\.jsonl"):
        evaluate(ScriptedEngine(), Torn(2, {0, 1, 2, 3}), ExactScorer(), GREEDY, tmp_path, seed=0, batch_size=6)
