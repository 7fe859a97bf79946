"""train.py and eval.py as processes: what a mistake costs, and what a question answers."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("script", "arguments", "named"),
    [
        ("train.py", ["stge=fre"], "stage"),
        ("train.py", ["stage=fr"], "fre"),
        ("train.py", ["algorithm.learning_rate=fast"], "algorithm.learning_rate"),
        ("train.py", ["rollout.samples=1"], "rollout.samples"),
        ("train.py", ["algorithm.mini_batches=7"], "algorithm.mini_batches"),
        ("train.py", ["dataset=local", "dataset.path=nowhere.jsonl"], "dataset.path"),
        ("train.py", ["stage=mgt"], "stage=fre"),
        ("train.py", ["stage=mgt", "init_from=nowhere"], "init_from"),
        ("train.py", ["resume=latest"], "resume"),
        ("train.py", ["-m", "stage=fre,mgt", "rollout.samples=8,1"], "rollout.samples"),
        ("train.py", ["model.path=nowhere"], "model.path"),
        ("train.py", ["--stage=fre"], "stage=fre"),
        ("train.py", ["--cfg", "job", "stge=fre"], "stage"),
        ("eval.py", ["model.path=nowhere"], "model.path"),
        ("eval.py", ["benchmrk=local"], "benchmark"),
        ("eval.py", ["rescore=latest"], "rescore"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_mistake_ends_in_one_line_before_anything_heavy_is_imported(run_script, tmp_path, script, arguments, named):
    outcome = run_script(script, *arguments, folder=tmp_path)
    assert outcome.code == 2
    assert outcome.error.startswith("error: ") and outcome.error.count("\n") == 1
    assert named in outcome.error
    assert outcome.heavy == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("script", "arguments", "expected"),
    [
        ("train.py", ["--help"], "synthetic_images"),
        ("eval.py", ["-h"], "benchmark"),
        ("train.py", ["stage=mgt", "--cfg", "job", "--resolve"], "stage_name: mgt"),
    ],
)
def test_a_question_is_answered_before_anything_heavy_is_imported(run_script, tmp_path, script, arguments, expected):
    outcome = run_script(script, *arguments, folder=tmp_path)
    assert outcome.code == 0
    assert expected in outcome.out
    assert outcome.heavy == []
    assert list(tmp_path.iterdir()) == []
