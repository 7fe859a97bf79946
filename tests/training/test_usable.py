"""The data of a run is looked over once, and every process then has the same."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from lmm_r1.data.local import LocalDataset
from lmm_r1.data.synthetic import SyntheticDataset, TraceDataset
from lmm_r1.errors import BadRowError, UserError
from lmm_r1.rollout import askable
from lmm_r1.training import golds, usable
from lmm_r1.training.prompt_lengths import measured_lengths
from lmm_r1.training.settings import RolloutSettings
from lmm_r1.training.usable import usable_data
from lmm_r1.types import Sampling

ROLLOUT = RolloutSettings(partial(dict, max_model_len=120, max_images=1), 2, 1.0, 20, 1, 0.0)
TRAIN = ("What is 3 + 4?", "How many? " * 60, "What is 1 + 2?", "<|video_pad|>?")


def local(folder: Path, *questions: str, answers: str = "7", name: str = "train") -> LocalDataset:
    path = folder / f"{name}.jsonl"
    rows = zip(questions, [answers] * len(questions), strict=True)
    path.write_text("".join(json.dumps({"question": question, "answer": answer}) + "\n" for question, answer in rows))
    return LocalDataset(path)


def settings(root: Path, name: str = "run") -> SimpleNamespace:
    """What is read of `RunSettings`."""
    (root / name).mkdir(exist_ok=True)
    return SimpleNamespace(folder=root / name, cache=root / "cache", min_usable_share=0.5, max_bad_rows=3)


def listed(folder: Path) -> list[tuple[str, int]]:
    rows = [json.loads(line) for line in (folder / "bad_rows.jsonl").read_text().splitlines()]
    return [(row["part"], row["line"]) for row in rows]


def test_both_parts_lose_what_cannot_be_asked(tmp_path, random_model):
    train = local(tmp_path, *TRAIN)
    held_out = local(tmp_path, TRAIN[0], TRAIN[1], name="validation", answers=r"\frac{")
    data = usable_data(settings(tmp_path), ROLLOUT, str(random_model), train, held_out)
    assert [data.train[index].question for index in range(len(data.train))] == [TRAIN[0], TRAIN[2]]
    assert data.order_keys == [train.order_keys()[0], train.order_keys()[2]]
    # A problem held out keeps its place, and with it its seed; its gold is not looked at.
    assert data.validation[0].question == TRAIN[0] and len(data.validation) == 2
    with pytest.raises(BadRowError, match="max_model_len=120"):
        data.validation[1]
    assert listed(tmp_path / "run") == [("training", 2), ("training", 4), ("validation", 2)]
    assert data.bad_rows.most == 3


def test_another_process_and_another_run_learn_it_without_looking(tmp_path, random_model, monkeypatch):
    def found(name: str):
        data = usable_data(settings(tmp_path, name), ROLLOUT, str(random_model), local(tmp_path, *TRAIN), held_out)
        return [data.train[index] for index in range(len(data.train))]

    held_out = local(tmp_path, TRAIN[0], name="validation")
    first, looked = found("run"), []
    outline = LocalDataset.outline
    monkeypatch.setattr(golds, "verify_golds", None)
    monkeypatch.setattr(LocalDataset, "outline", lambda self, place: looked.append(place) or outline(self, place))
    assert found("other run") == first
    monkeypatch.setattr(usable, "rank_zero_only", SimpleNamespace(rank=1))
    (tmp_path / "run" / "bad_rows.jsonl").unlink()
    assert found("run") == first
    # It writes nothing, and what was bad is looked at once more, nothing else.
    assert not (tmp_path / "run" / "bad_rows.jsonl").exists()
    assert set(looked) == {1, 3}


def test_a_part_that_lost_most_of_its_rows_ends_the_start(tmp_path, random_model):
    arguments = (ROLLOUT, str(random_model))
    good, bad = local(tmp_path, TRAIN[0]), local(tmp_path, TRAIN[0], TRAIN[1], TRAIN[1], name="long")
    with pytest.raises(UserError, match=r"^training data, .*long\.jsonl: 2 of 3 rows .*too long \(2: line 2, 3\)"):
        usable_data(settings(tmp_path), *arguments, bad, good)
    with pytest.raises(UserError, match=r"^validation data, .*min_usable_share=0\.333"):
        usable_data(settings(tmp_path), *arguments, good, bad)
    assert ("validation", 2) in listed(tmp_path / "run")


def test_problems_made_by_rule_are_looked_at_when_they_are_read(tmp_path, random_model):
    made = SyntheticDataset("train", 10**6, ["chain"], ["text_only"], (2, 3), 84, 0)
    data = usable_data(settings(tmp_path), ROLLOUT, str(random_model), made, made)
    assert data.order_keys is None and len(data.train) == 10**6 and data.train[5] == made[5]
    short = RolloutSettings(partial(dict, max_model_len=25), 2, 1.0, 20, 1, 0.0)
    data = usable_data(settings(tmp_path), short, str(random_model), made, made)
    with pytest.raises(BadRowError, match="max_model_len=25"):
        data.train[5]


def test_supervised_pairs_are_left_as_they_are(tmp_path, random_model):
    pairs = TraceDataset("train", 8, ["chain"], ["text_only"], (2, 3), 84, 0)
    made = SyntheticDataset("validation", 2, ["chain"], ["text_only"], (2, 3), 84, 0)
    data = usable_data(settings(tmp_path), ROLLOUT, str(random_model), pairs, made, supervised=True)
    assert data.train is pairs and data.order_keys is None


def test_the_check_reads_nothing_that_the_model_does_not_have(random_model):
    check = askable.prompt_check(str(random_model), ROLLOUT.engine.keywords, 20)
    assert check.fingerprint() == askable.prompt_check(str(random_model), ROLLOUT.engine.keywords, 20).fingerprint()
    assert check.fingerprint() != askable.prompt_check(str(random_model), ROLLOUT.engine.keywords, 21).fingerprint()


def test_a_plan_passes_over_what_cannot_be_asked(tmp_path, random_model):
    model = SimpleNamespace(path=str(random_model), min_pixels=None, max_pixels=None, system_prompt=None)
    sampling = Sampling(2, 1.0, 20)
    lengths = measured_lengths(model, local(tmp_path, *TRAIN), sampling, 120)
    assert lengths.source == "measured on 2 problems"
    with pytest.raises(UserError, match=r"none of the first .* can be asked"):
        measured_lengths(model, local(tmp_path, TRAIN[1]), sampling, 120)
