"""`python -m lmm_r1.cli.audit`: what it says of files, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmm_r1.cli.audit import audit
from lmm_r1.errors import UserError

ROWS = [
    {"question": "1 + 1 = ?", "answer": "2"},
    {"question": "What colour is it?", "answer": "blue"},
    {"question": "Is it?", "answer": "no"},
    {"question": "What is it?", "answer": None},
    {"question": "Which number?", "answer": "five"},
]
SCRIPT = "src/lmm_r1/cli/audit.py"


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    path = tmp_path / "problems.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return path


def test_every_row_that_is_not_used_as_it_stands_is_listed(problems, tmp_path, capsys):
    audit(["dataset=local", f"dataset.path={problems}", "dataset.answer_type=yes_no"], tmp_path / "audit.jsonl")
    listed = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["row"], row["outcome"], row["gold"]) for row in listed] == [
        (1, "dropped", "2"),
        (2, "dropped", "blue"),
        (4, "left_out", None),
        (5, "dropped", "five"),
    ]
    assert set(listed[0]) == {"row", "gold", "type", "outcome", "reason", "suggestion"}
    assert {row["type"] for row in listed} == {"yes_no"}
    shown = capsys.readouterr().out
    assert "1: 2; 2: blue; 5: five" in shown and "answer is null" in shown


def test_the_whole_file_is_audited_and_a_validation_file_too(problems, tmp_path, capsys):
    other = tmp_path / "other.jsonl"
    other.write_text(json.dumps({"question": "?", "answer": "7"}) + "\n", encoding="utf-8")
    options = [f"dataset.path={problems}", "dataset.answer_type=text", "dataset.train_stop=3"]
    audit(["dataset=local", *options, f"dataset.validation_path={other}"], tmp_path / "audit.jsonl")
    shown = capsys.readouterr().out
    assert shown.index("problems.jsonl") < shown.index("other.jsonl")
    assert len((tmp_path / "audit.jsonl").read_text().splitlines()) == 1


def test_the_golds_of_a_data_set_of_ones_own_are_audited(tmp_path, monkeypatch, capsys):
    (tmp_path / "my_rows.py").write_text(
        "from lmm_r1.types import Problem\n"
        "class Rows:\n"
        "    def __len__(self): return 3\n"
        "    def __getitem__(self, index): return Problem(str(index), '?', ('7', 'blue', '1/0')[index])\n"
    )
    (tmp_path / "dataset").mkdir()
    part = "{_target_: my_rows.Rows}"
    (tmp_path / "dataset" / "mine.yaml").write_text(f"train: {part}\nvalidation: {part}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    audit(["dataset=mine", f"hydra.searchpath=[file://{tmp_path}]"], tmp_path / "audit.jsonl")
    listed = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [(row["row"], row["outcome"]) for row in listed] == [(2, "retyped"), (3, "dropped")] * 2
    assert "my_rows.Rows" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (["dataset=synthetic_text"], "dataset=local"),
        (["dataset=local"], "dataset.path is missing"),
        (["dataset=local", "dataset.path=nowhere.jsonl"], "no such file"),
        (["dataset=locall"], "did you mean local"),
    ],
)
def test_what_cannot_be_audited_is_refused(overrides, named, tmp_path):
    with pytest.raises(UserError, match=named):
        audit(overrides, tmp_path / "audit.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_for_the_list_is_refused(problems, tmp_path):
    with pytest.raises(UserError, match="--output"):
        audit(["dataset=local", f"dataset.path={problems}"], tmp_path / "none" / "audit.jsonl")


@pytest.mark.slow
def test_the_command_loads_no_model_and_ends_well(run_script, problems, tmp_path):
    outcome = run_script(SCRIPT, "dataset=local", f"dataset.path={problems}", folder=tmp_path)
    assert outcome.code == 0, outcome.error
    assert outcome.heavy == []
    listed = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [row["suggestion"] for row in listed] == [
        "judged as text",
        "judged as yes_no",
        "repair it",
        "judged as text",
    ]


@pytest.mark.slow
def test_a_mistake_ends_in_one_line_with_exit_code_2(run_script, tmp_path):
    outcome = run_script(SCRIPT, "dataset=local", "dataset.path=nowhere.jsonl", folder=tmp_path)
    assert outcome.code == 2
    assert outcome.error.startswith("error: ") and outcome.error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
