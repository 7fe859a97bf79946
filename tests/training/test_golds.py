"""What a run trains on, and what it says of the rest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmm_r1.data.local import LocalDataset
from lmm_r1.errors import UserError
from lmm_r1.training.golds import LISTING, with_verifiable_golds


def local(folder: Path, *golds: str, **options: str) -> LocalDataset:
    path = folder / "problems.jsonl"
    path.write_text("".join(json.dumps({"question": "?", "answer": gold}) + "\n" for gold in golds), encoding="utf-8")
    return LocalDataset(path, **options)


def test_retyped_golds_stay_and_dropped_ones_go(tmp_path):
    data = local(tmp_path, "5", "five", " ", "yes", "7", r"\frac{", answer_type="number")
    kept = with_verifiable_golds(data, tmp_path)
    assert [(problem.answer, problem.answer_type) for problem in map(kept.__getitem__, range(len(kept)))] == [
        ("5", "number"),
        ("five", "text"),
        ("yes", "yes_no"),
        ("7", "number"),
    ]
    listed = [json.loads(line) for line in (tmp_path / LISTING).read_text().splitlines()]
    assert [(row["row"], row["outcome"]) for row in listed] == [
        (2, "retyped"),
        (3, "left_out"),
        (4, "retyped"),
        (6, "dropped"),
    ]


def test_golds_that_all_verify_leave_an_empty_list(tmp_path):
    data = local(tmp_path, "5", "6")
    assert len(with_verifiable_golds(data, tmp_path)) == 2
    assert (tmp_path / LISTING).read_text() == ""


def test_only_the_process_that_has_a_folder_writes(tmp_path):
    with_verifiable_golds(local(tmp_path, "5", "yes"))
    assert not (tmp_path / LISTING).exists()


def test_a_data_set_without_a_usable_gold_is_refused_and_listed(tmp_path):
    with pytest.raises(UserError, match=r"dataset\.answer_type"):
        with_verifiable_golds(local(tmp_path, "perhaps", answer_type="yes_no"), tmp_path)
    assert len((tmp_path / LISTING).read_text().splitlines()) == 1
