"""Every combination of every W&B sweep, as its agent would start it, composes and validates: offline."""

from __future__ import annotations

from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from wandb.sdk.launch.sweeps.utils import create_sweep_command_args

from lmm_r1.cli.composition import compose_config, plain
from lmm_r1.cli.paths import CONFIG_FOLDER, REPOSITORY, register_resolvers
from lmm_r1.cli.validate import validate_training

SWEEPS = sorted((REPOSITORY / "sweeps").glob("*.yaml"))


def values(parameter: dict[str, Any]) -> list[Any]:
    """The values of a parameter, or the ends of its range."""
    if "values" in parameter:
        return parameter["values"]
    return [parameter["value"]] if "value" in parameter else [parameter["min"], parameter["max"]]


def commands(sweep: dict[str, Any]) -> list[list[str]]:
    """What the agent appends to `train.py`, for each combination."""
    names, parameters = zip(*sweep["parameters"].items(), strict=True)
    return [
        create_sweep_command_args(
            {"args": {name: {"value": value} for name, value in zip(names, combination, strict=True)}}
        )["args_no_hyphens"]
        for combination in product(*map(values, parameters))
    ]


@pytest.fixture(params=SWEEPS, ids=lambda path: path.stem)
def sweep(request) -> dict[str, Any]:
    register_resolvers()
    return yaml.safe_load(Path(request.param).read_text())


def test_every_combination_composes_and_validates_and_differs(sweep):
    configs = []
    with initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
        for overrides in commands(sweep):
            configs.append(plain(compose("train", overrides)))
            validate_training(configs[-1])
    assert all(first != second for first, second in pairwise(configs))


def test_the_command_line_of_an_agent_passes_the_checks_of_the_command_line(sweep):
    """Types included: W&B writes 1e-05 where the file has 1.0e-5."""
    for overrides in (commands(sweep)[0], commands(sweep)[-1]):
        config = plain(compose_config("train", overrides))
        assert isinstance(config["algorithm"]["learning_rate"], float)


def test_a_sweep_starts_train_py_in_hydra_s_own_words(sweep):
    assert sweep["program"] == "train.py"
    assert sweep["command"] == ["${env}", "${interpreter}", "${program}", "${args_no_hyphens}"]
    # Nested parameters would arrive as one dictionary, which Hydra cannot read.
    assert all(
        set(parameter) <= {"value", "values", "min", "max", "distribution"}
        for parameter in sweep["parameters"].values()
    )


def test_a_sweep_optimises_what_a_run_reports(sweep):
    from lmm_r1.evaluation.results import accuracy_metrics
    from lmm_r1.types import Completion, Group, Problem, Score

    completion = Completion((1,), (0.0,), "5", "stop", 0)
    group = Group(Problem("a", "2 + 3 = ?", "5"), (1,), [completion], [Score(1.0, {"accuracy": 1.0}, True, "ok")])
    assert sweep["metric"]["name"] in accuracy_metrics([group])
    assert sweep["parameters"]["logger"] == {"value": "wandb"}
    assert sweep["parameters"]["logger.wandb.offline"] == {"value": False}
