"""What a run trains on, and what it says of the rest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmm_r1.data.local import LocalDataset
from lmm_r1.data.synthetic import SyntheticDataset
from lmm_r1.disk_cache import DiskCache
from lmm_r1.errors import BadRowError, UserError
from lmm_r1.evaluation.bad_rows import BadRowsFile
from lmm_r1.rewards.fingerprint import audit_fingerprint
from lmm_r1.rollout.askable import AskableProblems
from lmm_r1.training import golds
from lmm_r1.training.golds import LISTING, with_verifiable_golds
from lmm_r1.types import Problem


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


class Own:
    """A data set of somebody's own, whose second row cannot be read."""

    GOLDS = ("5", None, "yes", "\\frac{", "7")

    def __len__(self) -> int:
        return len(self.GOLDS)

    def __getitem__(self, place: int) -> Problem:
        if self.GOLDS[place] is None:
            raise BadRowError("torn")
        return Problem(f"own {place}", "?", self.GOLDS[place], answer_type="number")


class Unchecked:
    """A check that lets everything pass."""

    def faults(self, outlines):
        return [None] * len(outlines)


def test_the_golds_of_ones_own_data_set_are_audited_too(tmp_path):
    kept = with_verifiable_golds(Own(), tmp_path)
    assert [(problem.id, problem.answer_type) for problem in map(kept.__getitem__, range(len(kept)))] == [
        ("own 0", "number"),
        ("own 2", "yes_no"),
        ("own 4", "number"),
    ]
    listed = [json.loads(line) for line in (tmp_path / LISTING).read_text().splitlines()]
    assert [(row["row"], row["outcome"]) for row in listed] == [(2, "left_out"), (3, "retyped"), (4, "dropped")]


def test_generated_problems_are_not_read_for_their_golds():
    class Unread(SyntheticDataset):
        def __getitem__(self, index):
            raise AssertionError("read")

    data = Unread("train", 10**6, ["chain"], ["text_only"], (2, 3), 84, 0)
    assert with_verifiable_golds(data) is data


def test_golds_are_audited_once_for_all_runs_and_processes(tmp_path, monkeypatch):
    shared = tmp_path / "cache"
    first = with_verifiable_golds(local(tmp_path, "5", "yes", "1/0"), cache=DiskCache(tmp_path / "run", shared))
    monkeypatch.setattr(golds, "verify_golds", None)
    for cache, makes in ((DiskCache(tmp_path / "other", shared), True), (DiskCache(tmp_path / "run"), False)):
        again = with_verifiable_golds(local(tmp_path, "5", "yes", "1/0"), cache=cache, first=makes)
        assert [problem.answer_type for problem in map(again.__getitem__, range(len(again)))] == ["math", "yes_no"]
        assert [again[index] for index in range(2)] == [first[index] for index in range(2)]


def test_another_gold_type_rule_or_judge_is_another_audit(tmp_path, monkeypatch):
    judge = tmp_path / "my_judges.py"
    judge.write_text("def judge(claim):\n    return 'ok'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    data = {
        "as it is": local(tmp_path, "5").golds(),
        "gold": local(tmp_path, "6").golds(),
        "type": local(tmp_path, "5", answer_type="number").golds(),
        "own judge": local(tmp_path, "5", answer_type="my_judges.judge").golds(),
    }
    keys = {name: audit_fingerprint(rows) for name, rows in data.items()}
    judge.write_text("def judge(claim):\n    return 'wrong'\n")
    keys["another judge"] = audit_fingerprint(data["own judge"])
    assert len(set(keys.values())) == len(keys)
    assert audit_fingerprint(local(tmp_path, "5").golds()) == keys["as it is"]


def test_losing_most_golds_stops_the_run_unless_that_is_allowed(tmp_path):
    broken = [f"{n} \\frac{{" for n in range(5)]
    data = local(tmp_path, "5", "6", *broken)
    listing = BadRowsFile(tmp_path / "bad_rows.jsonl")
    message = (
        r"^training data, .*: 5 of 7 rows cannot be used: gold that does not verify .* \(5: line 3, 4, .*; "
        r"line 3: .*0 \\frac\{.*"
        r"dataset\.answer_pattern.*min_usable_share=0\.285$"
    )
    with pytest.raises(UserError, match=message):
        with_verifiable_golds(data, tmp_path, least=0.5, listing=listing)
    # It is listed all the same, for whoever mends it.
    assert [row.line for row in listing.rows] == [3, 4, 5, 6, 7]
    assert len((tmp_path / "bad_rows.jsonl").read_text().splitlines()) == 5
    assert len(with_verifiable_golds(data, tmp_path, least=0.285)) == 2


def test_rows_that_cannot_be_asked_go_with_those_that_cannot_be_judged(tmp_path, caplog):
    data = local(tmp_path, "5", "1/0", "6", "7")
    problems = AskableProblems(data, Unchecked(), {2: BadRowError("too long", "line 3 is too long")})
    listing = BadRowsFile(tmp_path / "bad_rows.jsonl")
    usable = with_verifiable_golds(problems, tmp_path, listing=listing)
    assert [usable[index].answer for index in range(len(usable))] == ["5", "7"]
    assert [(row.line, row.reason) for row in listing.rows] == [
        (2, "gold that does not verify against itself"),
        (3, "too long"),
    ]
    assert usable.location(1) == (str(data.path), 4)
    (message,) = (message for message in caplog.messages if "cannot be used" in message)
    assert message.startswith(f"training data, {data.path}: 2 of 4 rows") and message.endswith(
        str(tmp_path / "bad_rows.jsonl")
    )
    # What the rows are called does not depend on which others are left.
    assert usable.order_keys() == [data.order_keys()[place] for place in (0, 3)]
