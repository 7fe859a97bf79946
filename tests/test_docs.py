"""What the documents tell a reader to type works."""

from __future__ import annotations

import csv
import re
from dataclasses import fields
from pathlib import Path

import pytest

from lmm_r1.answer_rules import ANSWER_TYPES, AnswerRules
from lmm_r1.rewards import verify
from tests.running import ENVIRONMENT, run

BLOCK = re.compile(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", re.DOTALL)


def extract(document: Path, folder: Path) -> list[str]:
    """Write every named example of a document to its place under `folder`; returns the names."""
    found = BLOCK.findall(document.read_text())
    for name, text in found:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return [name for name, _ in found]


@pytest.mark.slow
def test_every_example_of_the_extension_guide_trains(repository, tmp_path):
    names = extract(repository / "docs" / "extending.md", tmp_path)
    assert len(names) == 8
    environment = {"PYTHONPATH": f"{tmp_path}:{ENVIRONMENT['PYTHONPATH']}"}
    shared = [f"hydra.searchpath=[file://{tmp_path / 'conf'}]", "rollout=transformers"]
    small = ["rollout.max_new_tokens=8", f"output_root={tmp_path / 'outputs'}"]

    training = ["trainer.steps=1", "trainer.prompts_per_step=4", "rollout.samples=3"]
    run(
        "train.py",
        "stage=fre",
        "dataset=squares",
        "algorithm=median",
        "shaping=brevity",
        *shared,
        *training,
        *small,
        environment=environment,
    )
    with (tmp_path / "outputs" / "fre" / "latest" / "metrics.csv").open(newline="") as file:
        row = list(csv.DictReader(file))[-1]
    assert 0 < float(row["reward/brevity"]) < 1
    assert float(row["reward/mean"]) == pytest.approx(
        float(row["reward/accuracy"]) + 0.5 * float(row["reward/format"]) + 0.1 * float(row["reward/brevity"])
    )
    export = f"model.path={tmp_path / 'outputs' / 'fre' / 'latest' / 'export'}"
    run("eval.py", "benchmark=squares", export, *shared, *small, environment=environment)


def test_the_answer_type_of_the_extension_guide_judges(repository, tmp_path, monkeypatch):
    extract(repository / "docs" / "extending.md", tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    verdicts = {answer: verify("14", answer, "my_answers.judge_roman") for answer in ("XIV", "xiv", "XVI", "14")}
    assert {answer: verdict.reason for answer, verdict in verdicts.items()} == {
        "XIV": "ok",
        "xiv": "ok",
        "XVI": "wrong",
        "14": "unparsable",
    }


def test_every_answer_type_and_rule_is_described(repository):
    text = (repository / "docs" / "problems.md").read_text()
    for name in [*ANSWER_TYPES, *(field.name for field in fields(AnswerRules))]:
        assert f"`{name}`" in text, name


def test_every_command_of_the_readme_names_things_that_exist(repository):
    """Targets of make, files, and configuration groups with their options."""
    text = (repository / "README.md").read_text()
    commands = re.findall(r"^\s*(?:\$ )?((?:make|python) .+)$", text, re.MULTILINE)
    assert len(commands) >= 5
    makefile = (repository / "Makefile").read_text()
    for command in commands:
        program, first, *rest = command.split("#")[0].split()
        if program == "make":
            assert re.search(rf"^{first}:", makefile, re.MULTILINE), command
        elif first != "-m":
            assert (repository / first).is_file(), command
        for word in rest:
            group, _, options = word.partition("=")
            folder = repository / "conf" / group
            if options and "." not in group and folder.is_dir():
                for option in options.split(","):
                    assert (folder / f"{option}.yaml").is_file(), command


def test_every_source_file_has_its_line_in_the_architecture(repository):
    text = (repository / "docs" / "architecture.md").read_text()
    files = [path.name for path in (repository / "src").rglob("*.py") if path.name != "__init__.py"]
    missing = [name for name in files if f"- `{name}` — " not in text]
    assert len(files) > 50 and not missing
