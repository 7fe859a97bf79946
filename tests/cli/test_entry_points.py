"""train.py and eval.py as processes: what a mistake costs, and what a question answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmm_r1.cli.composition import compose_config, plain
from lmm_r1.cli.run_folder import link_latest, write_config
from lmm_r1.cli.run_lock import claimed
from tests.running import run

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
    ("script", "arguments"),
    [
        ("eval.py", ["model.path=model"]),
        ("train.py", ["model.path=model"]),
        ("train.py", ["stage=mgt", "init_from=model"]),
        ("train.py", ["model.path=model", "plan=true"]),
        ("train.py", ["stage=mgt", "init_from=model", "plan=true"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_model_of_another_kind_is_one_line_before_anything_heavy_is_imported(run_script, tmp_path, script, arguments):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}')
    outcome = run_script(script, *arguments, folder=tmp_path)
    key = "init_from" if "init_from=model" in arguments else "model.path"
    assert outcome.code == 2
    assert outcome.error.startswith(f"error: {key}=model holds a llama (LlamaForCausalLM); needed is a Qwen2.5-VL")
    assert outcome.error.count("\n") == 1 and outcome.heavy == []


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


@pytest.mark.parametrize(("script", "stage"), [("train", "fre"), ("eval", "eval")])
def test_a_second_process_in_a_folder_ends_before_anything_heavy_is_imported(run_script, tmp_path, script, stage):
    folder = tmp_path / "outputs" / stage / "run"
    folder.mkdir(parents=True)
    write_config(folder, plain(compose_config(script, [])), f"python {script}.py")
    link_latest(folder)
    with claimed(folder, 0):
        outcome = run_script(f"{script}.py", "resume=latest", folder=tmp_path)
    assert (outcome.code, outcome.heavy) == (2, [])
    assert outcome.error.count("\n") == 1 and "is at work there" in outcome.error


def test_a_start_that_fails_leaves_its_log_and_latest_where_it_was(tmp_path):
    fre = tmp_path / "outputs" / "fre"
    earlier = fre / "earlier"
    earlier.mkdir(parents=True)
    link_latest(earlier)
    (tmp_path / "rows.jsonl").write_text('{"question": "1 + 1?", "answer": "two apples"}\n' * 8)
    local = ("dataset=local", "dataset.path=rows.jsonl", "dataset.answer_type=bbox", "dataset.validation_size=4")
    script = str(Path(__file__).resolve().parents[2] / "train.py")
    output = run(script, "debug=tiny", *local, expect=2, folder=tmp_path)
    (failed,) = (path for path in fre.iterdir() if path.name not in ("earlier", "latest"))
    assert sorted(path.name for path in failed.iterdir()) == ["audit.jsonl", "bad_rows.jsonl", "train.log"]
    assert (fre / "latest").resolve() == earlier
    log = (failed / "train.log").read_text()
    (line,) = (line for line in output.splitlines() if line.startswith("error: "))
    assert line in log and "python train.py debug=tiny dataset=local" in log
