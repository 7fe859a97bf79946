"""Real runs through the entry points, as small as they get."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ABLATIONS = ("none", "direct_rl", "fre_multimodal", "no_format_reward", "mgt_domain_grid", "mgt_domain_count")
RUN_THEM_ALL = """
import sys
from pathlib import Path
from lmm_r1.cli.composition import compose_config, plain
from lmm_r1.cli.environment import prepare_environment
from lmm_r1.cli.paths import register_resolvers
from lmm_r1.cli.train_command import run

prepare_environment()
register_resolvers()
model, *ablations = sys.argv[1:]
for ablation in ablations:
    words = ["debug=tiny", "rollout=transformers", f"ablation={ablation}", f"model.path={model}"]
    config = plain(compose_config("train", words))
    if config["init_from"] is not None:
        config["init_from"] = model
    folder = Path(ablation)
    folder.mkdir()
    run(config, folder)
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A tiny model with random weights whose tokenizer knows the generated problems."""
    from lmm_r1.data.synthetic import TraceDataset
    from lmm_r1.models.tiny import build_tiny

    traces = TraceDataset("train", 200, ["chain", "grid", "bars", "count"], ["text_only", "text_lite"], (2, 5), 84, 0)
    folder = tmp_path_factory.mktemp("model")
    build_tiny(
        folder,
        (text for problem, trace in map(traces.__getitem__, range(200)) for text in (problem.question, trace)),
        0,
    )
    return folder


def succeed(*command: str, folder: Path) -> str:
    ended = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, timeout=280)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return ended.stdout


def summary(run: Path) -> dict:
    return json.loads((run / "summary.json").read_text())


def test_every_ablation_takes_two_real_steps(model, tmp_path):
    succeed("-c", RUN_THEM_ALL, str(model), *ABLATIONS, folder=tmp_path)
    for ablation in ABLATIONS:
        metrics = pd.read_csv(tmp_path / ablation / "metrics.csv")
        assert metrics["reward/mean"].notna().sum() == 2, ablation
        assert summary(tmp_path / ablation)["steps"] == 2


def test_both_stages_in_one_command_hand_over_their_weights_and_can_be_measured(model, repository, tmp_path):
    train, evaluate = str(repository / "train.py"), str(repository / "eval.py")
    succeed(train, "-m", "stage=fre,mgt", "debug=tiny", f"model.path={model}", folder=tmp_path)
    fre, mgt = tmp_path / "outputs" / "fre" / "latest", tmp_path / "outputs" / "mgt" / "latest"
    assert summary(mgt)["parent"] == str(fre.resolve())
    assert yaml.safe_load((mgt / "config.yaml").read_text())["init_from"] == str(fre.resolve())
    assert (mgt / "config.yaml").read_text().startswith("# python train.py stage=mgt debug=tiny")

    small = ["benchmark.size=4", "rollout.max_new_tokens=8", "rollout=transformers"]
    table = succeed(evaluate, f"model.path={mgt / 'export'}", *small, folder=tmp_path)
    assert "vision_only" in table
    evaluation = tmp_path / "outputs" / "eval" / "latest"
    first = json.loads((evaluation / "results.json").read_text())
    succeed(evaluate, "rescore=latest", "reward=accuracy_only", folder=tmp_path)
    assert json.loads((evaluation / "results.json").read_text()) == first
    stored = yaml.safe_load((evaluation / "config.yaml").read_text())
    assert stored["reward"]["weights"]["format"] == 0.0
    assert stored["benchmark"]["size"] == 4
