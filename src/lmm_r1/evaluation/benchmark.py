"""Run a benchmark: store what the model says first, score it in a second pass that needs no model.

    <folder>/generation.json      what was asked for: seed, sampling, provenance
    <folder>/completions/         the answers, one shard a batch, as rollouts are stored
    <folder>/bad_rows.jsonl       the problems that could not be asked; they are counted apart
    <folder>/outcomes.parquet     one scored row a completion
    <folder>/results.json         accuracy by family and rendering

An interrupted generation goes on where it stopped; a changed reward only needs `score_benchmark` again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import pandas as pd
from pyarrow import ArrowException

from lmm_r1.atomic_files import read_json, replacing, write_text
from lmm_r1.errors import BadRowError, UserError
from lmm_r1.evaluation.bad_rows import BAD_ROWS, BadRowsFile, listed, read_bad_rows
from lmm_r1.evaluation.outcomes import Outcome, outcomes_of
from lmm_r1.evaluation.results import Results, summarize
from lmm_r1.rollout.engine import RolloutEngine, sampling_seed
from lmm_r1.rollout.outlines import location_of, read_or_fault
from lmm_r1.rollout.store import RolloutStore
from lmm_r1.types import Group, Problem, Sampling, Score


class Problems(Protocol):
    """A map-style data set."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Problem: ...


class Scorer(Protocol):
    """What scores completions, e.g. `lmm_r1.rewards.compose.RewardSum`."""

    def score_groups(self, groups: Sequence[Group]) -> list[list[Score]]: ...


def evaluate(
    engine: RolloutEngine,
    problems: Problems,
    scorer: Scorer,
    sampling: Sampling,
    folder: Path,
    seed: int,
    batch_size: int,
    provenance: Mapping[str, str] | None = None,
    begun: Callable[[], None] = lambda: None,
) -> Results:
    """Generate what is not yet stored in `folder`, then score everything.

    Args:
        sampling: k completions of each problem give avg@k; one at temperature 0 is the usual greedy accuracy.
        batch_size: problems in one call of the engine, and in one shard on disk.
        provenance: what else decides the answers, such as the model's path and the data set's options; a stored
            generation is only continued under the same.
        begun: called once the first answers are on the disk.
    """
    run_benchmark(engine, problems, sampling, folder, batch_size, seed, provenance, begun)
    return score_benchmark(folder, scorer)


def run_benchmark(
    engine: RolloutEngine,
    problems: Problems,
    sampling: Sampling,
    folder: Path,
    batch_size: int,
    seed: int,
    provenance: Mapping[str, str] | None = None,
    begun: Callable[[], None] = lambda: None,
) -> None:
    """Store the completions of all problems, shard by shard, leaving alone the shards that are there and sound.

    A problem's sampling seed follows from `seed` and its place in the data set alone, so neither the batch size nor
    an interruption changes an answer, and two models meet the same seeds.

    Raises:
        UserError: no problems, or `folder` holds a generation of another kind.
    """
    if len(problems) == 0:
        raise UserError("the benchmark has no problems; check its data set and size")
    generation = {
        "problems": len(problems),
        "batch_size": batch_size,
        "seed": seed,
        "sampling": asdict(sampling),
        "provenance": dict(provenance or {}),
    }
    _claim(folder, generation)
    store = RolloutStore(folder / "completions")
    store.set_damaged_aside()
    stored = set(store.steps())
    listing = BadRowsFile.opened(folder / BAD_ROWS)
    if stored:
        begun()
    for shard, start in enumerate(range(0, len(problems), batch_size)):
        if shard in stored:
            continue
        indices = range(start, min(start + batch_size, len(problems)))
        batch = _askable(problems, indices, listing)
        seeds = [sampling_seed(seed, 0, index) for index in batch]
        groups = engine.generate(list(batch.values()), sampling, seeds) if batch else []
        store.write(groups, step=shard, rank=0)
        if not stored:
            begun()
        stored.add(shard)


def _askable(problems: Problems, indices: Sequence[int], listing: BadRowsFile) -> dict[int, Problem]:
    """The problems of a shard that can be asked, by place; the list then says of this shard what is so."""
    read = {index: read_or_fault(problems.__getitem__, index) for index in indices}
    faults = {index: fault for index, fault in read.items() if isinstance(fault, BadRowError)}
    listing.add(listed("benchmark", problems, faults, "when it was read"))
    askable = {index: problem for index, problem in read.items() if index not in faults}
    listing.remove("benchmark", [location_of(problems, index) for index in askable])
    return askable


def score_benchmark(folder: Path, scorer: Scorer) -> Results:
    """Score the stored completions of `folder`, write `outcomes.parquet` and `results.json`, and sum up.

    The scorer sees problems without their pictures, which are not stored whole.

    Raises:
        UserError: nothing is stored, the generation is incomplete, or two problems share an id.
    """
    generation = _read_generation(folder)
    store = RolloutStore(folder / "completions")
    shards = -(-generation["problems"] // generation["batch_size"])
    _refuse_unfinished(folder, len(store.steps()), shards)
    outcomes: list[Outcome] = []
    sound = 0
    for _, groups in store.read_steps(range(shards), pictures=False):
        sound += 1
        for group, scores in zip(groups, scorer.score_groups(groups), strict=True):
            group.scores = scores
        outcomes += outcomes_of(groups)
    _refuse_unfinished(folder, sound, shards)
    not_answered = Counter(row.reason for row in read_bad_rows(folder / BAD_ROWS))
    if not outcomes:
        raise UserError(f"{folder}: no problem could be asked; {BAD_ROWS} says why")
    _refuse_shared_ids(outcomes)
    _write_outcomes(outcomes, folder)
    results = summarize(outcomes, generation, not_answered)
    results.to_json(folder / "results.json")
    return results


def read_outcomes(folder: Path) -> list[Outcome]:
    """The scored rows of an evaluation.

    Raises:
        UserError: `folder` holds no scored evaluation, or a damaged one.
    """
    path = folder / "outcomes.parquet"
    if not path.is_file():
        raise UserError(f"{path} does not exist; run eval.py to make it")
    try:
        frame = pd.read_parquet(path)
    except (ArrowException, OSError) as error:
        raise UserError(f"{path}: damaged; python eval.py rescore={folder} writes it again") from error
    frame["format"] = frame["format"].astype(object).where(frame["format"].notna(), None)
    return [Outcome(**row) for row in frame.to_dict("records")]


def _write_outcomes(outcomes: Sequence[Outcome], folder: Path) -> None:
    frame = pd.DataFrame([asdict(outcome) for outcome in outcomes])
    frame["format"] = frame["format"].astype("float64")
    with replacing(folder / "outcomes.parquet") as partial:
        frame.to_parquet(partial, index=False)


def _claim(folder: Path, generation: Mapping[str, object]) -> None:
    """Note what `folder` is for, or refuse to mix two generations in it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "generation.json"
    if path.is_file():
        stored = _read_generation(folder)
        before, now = dict(_settings(stored)), dict(_settings(generation))
        different = [key for key in now if before.get(key, now[key]) != now[key]]
        if different:
            raise UserError(
                f"{folder} holds answers generated with another {different[0]} "
                f"({before[different[0]]}, now {now[different[0]]}); choose another folder"
            )
        return
    write_text(path, json.dumps(generation, indent=2) + "\n")


def _settings(generation: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Each setting under its name, the provenance one by one."""
    for key, value in generation.items():
        if isinstance(value, Mapping):
            yield from ((f"{key}: {name}", each) for name, each in value.items())
        else:
            yield key, value


def _read_generation(folder: Path) -> dict[str, object]:
    path = folder / "generation.json"
    if not path.is_file():
        raise UserError(f"{path} does not exist; nothing was generated there")
    return read_json(path, "nobody knows any more what was asked; evaluate anew")


def _refuse_unfinished(folder: Path, shards: int, wanted: int) -> None:
    if shards < wanted:
        raise UserError(
            f"{folder}: {shards} of {wanted} shards are stored and sound; python eval.py resume={folder} makes the rest"
        )


def _refuse_shared_ids(outcomes: Sequence[Outcome]) -> None:
    seen: set[tuple[str, int]] = set()
    for outcome in outcomes:
        if (outcome.problem, outcome.sample) in seen:
            raise UserError(f"two problems of the benchmark share the id {outcome.problem}; make its ids unique")
        seen.add((outcome.problem, outcome.sample))
