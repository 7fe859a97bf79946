"""Every file of `conf/` and `experiments/` composes, alone and together, and says what the code understands."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import get_object

from lmm_r1.cli.composition import groups, keys_of, plain
from lmm_r1.cli.paths import CONFIG_FOLDER, register_resolvers
from lmm_r1.cli.validate import validate_evaluation, validate_training
from lmm_r1.errors import UserError

TRAINING, EVALUATION = groups("train"), groups("eval")
ONLY_STAGE = {
    "direct_rl": "mgt",
    "fre_multimodal": "fre",
    "mgt_domain_chain": "mgt",
    "mgt_domain_shape": "mgt",
}
"""The ablations that are one of a single stage."""
OWN_DATA = ("fre_multimodal", "mgt_domain_chain", "mgt_domain_shape")
"""The ablations that bring generated problems with them."""
FILES = ("local", "gsm8k", "easy_vqa", "deepscaler", "vermulti65k", "vermulti_geo")
PAPER_ROWS = ("fre_text", "fre_multi", "mgt_geo", "mgt_percereason", "direct_rl_geo")
RELEASED_ROWS = ("fre_text_released", "fre_multi_released", "mgt_geo_released", "direct_rl_geo_released")


@pytest.fixture(scope="module", autouse=True)
def hydra():
    register_resolvers()
    with initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
        yield


@cache
def composed(name: str, *overrides: str) -> dict[str, Any]:
    return plain(compose(name, list(overrides)))


def training(*overrides: str) -> dict[str, Any]:
    return composed("train", *overrides)


def needed(group: str, option: str) -> list[str]:
    """What has to be given beside `group=option`."""
    if (group in ("dataset", "benchmark") and option in FILES) or (group == "experiment" and option != "none"):
        return [f"{'benchmark' if group == 'benchmark' else 'dataset'}.path=problems.jsonl"]
    return {
        ("model", "hub"): ["model.path=organisation/name"],
        ("rollout", "replay"): ["rollout.engine.folder=rollouts"],
        ("kl_control", "adaptive"): ["algorithm.kl_coef=0.01"],
        ("dataset", "synthetic_traces"): ["stage=sft"],
    }.get((group, option), [])


def contradiction(stage: str, ablation: str, experiment: str) -> str | None:
    """Why a combination is refused: part of the message; None for one that must run."""
    if ONLY_STAGE.get(ablation, stage) != stage:
        return f"this ablation is one of stage={ONLY_STAGE[ablation]}"
    if stage == "sft" and experiment != "none":
        return "dataset=synthetic_traces"
    return None


@pytest.mark.slow
@pytest.mark.parametrize("experiment", TRAINING["experiment"])
@pytest.mark.parametrize("stage", TRAINING["stage"])
def test_every_stage_with_every_ablation_and_experiment_composes_and_validates(stage, experiment):
    for ablation in TRAINING["ablation"]:
        overrides = [f"stage={stage}", f"ablation={ablation}", f"experiment={experiment}"]
        if ablation not in OWN_DATA:
            overrides += needed("experiment", experiment)
        config = training(*overrides)
        refused = contradiction(stage, ablation, experiment)
        assert config["stage_name"] == stage
        if refused is None:
            validate_training(config)
        else:
            with pytest.raises(UserError, match=refused):
                validate_training(config)


@pytest.mark.parametrize("ablation", TRAINING["ablation"])
@pytest.mark.parametrize("experiment", ["none", "fre_text", "mgt_geo"])
def test_an_ablation_of_a_row_needs_no_word_about_the_stage(ablation, experiment):
    extra = [] if ablation in OWN_DATA else needed("experiment", experiment)
    config = training(f"ablation={ablation}", f"experiment={experiment}", *extra)
    validate_training(config)
    assert config["stage_name"] == ONLY_STAGE.get(ablation, config["stage_name"])


@pytest.mark.parametrize(
    ("name", "group", "option"),
    [
        (name, group, option)
        for name, known in (("train", TRAINING), ("eval", EVALUATION))
        for group, options in known.items()
        for option in options
        if group not in ("stage", "ablation", "experiment")
    ],
)
def test_every_option_composes_and_validates(name, group, option):
    config = composed(name, f"{group}={option}", *needed(group, option))
    (validate_training if name == "train" else validate_evaluation)(config)


@pytest.mark.parametrize("ablation", [option for option in TRAINING["ablation"] if option != "none"])
def test_an_ablation_changes_what_is_run(ablation):
    stage = ONLY_STAGE.get(ablation, "fre")
    changed = differences(training(f"stage={stage}"), training(f"ablation={ablation}")) - {"only_stage"}
    expected = {
        "direct_rl": {"init_from"},
        "no_format_reward": {"reward.weights.format"},
        "fre_multimodal": {"dataset.renderings", "dataset.train.renderings"},
        "mgt_domain_chain": {"dataset.train.families"},
        "mgt_domain_shape": {"dataset.train.families"},
    }
    assert changed == expected[ablation]


def test_no_ablation_no_experiment_and_no_debugging_are_the_default():
    assert training("ablation=none", "experiment=none", "debug=none") == training()


def test_a_choice_on_the_command_line_beats_the_stage_and_the_experiment():
    assert training("stage=mgt", "dataset=synthetic_chain")["dataset"]["train"]["families"] == ["chain"]
    row = training("experiment=mgt_geo", "dataset=synthetic_large_images", "trainer.steps=7")
    assert row["dataset"]["image_size"] == 336
    assert row["trainer"]["steps"] == 7


@pytest.mark.parametrize("stage", TRAINING["stage"])
def test_debugging_is_small_whatever_was_chosen(stage):
    config = training("debug=tiny", f"stage={stage}")
    validate_training(config)
    assert config["trainer"]["steps"] == 2
    assert config["trainer"]["prompts_per_step"] * config["rollout"]["samples"] == 8


@pytest.mark.parametrize("row", PAPER_ROWS + RELEASED_ROWS)
def test_a_row_of_the_paper_can_be_wired_up_on_a_laptop(row):
    config = training(f"experiment={row}", "debug=tiny", "dataset.path=problems.jsonl")
    validate_training(config)
    assert config["trainer"]["accelerator"] == "cpu"
    assert config["model"]["path"].endswith("models/tiny")


@pytest.mark.parametrize(
    ("row", "stage", "dataset", "prompts", "steps", "learning_rates", "init_from"),
    [
        ("fre_text", "fre", "deepscaler", 128, 40_300 // 128 + 1, (1e-6, 9e-6), None),
        ("fre_multi", "fre", "vermulti65k", 256, 2 * 65_118 // 256, (1e-6, 9e-6), None),
        ("mgt_geo", "mgt", "vermulti_geo", 256, 2 * 16_810 // 256, (4e-7, 9e-6), "latest_fre"),
        ("mgt_percereason", "mgt", "vermulti65k", 256, 2 * 65_118 // 256, (4e-7, None), "latest_fre"),
        ("direct_rl_geo", "mgt", "vermulti_geo", 256, 2 * 16_810 // 256, (4e-7, 9e-6), None),
    ],
)
def test_the_rows_of_the_paper_have_the_values_of_table_a7(
    row, stage, dataset, prompts, steps, learning_rates, init_from
):
    learning_rate, critic_learning_rate = learning_rates
    config = training(f"experiment={row}", "dataset.path=problems.jsonl")
    algorithm, rollout, trainer = config["algorithm"], config["rollout"], config["trainer"]
    assert (config["stage_name"], config["init_from"], config["dataset"]["source"]) == (stage, init_from, dataset)
    assert config["model"]["path"] == "Qwen/Qwen2.5-VL-3B-Instruct"
    assert config["model"]["system_prompt"].endswith("start with <think> and end with </answer>.")
    assert (trainer["devices"], trainer["prompts_per_step"], trainer["steps"]) == (8, prompts, steps)
    assert (rollout["samples"], rollout["temperature"], rollout["max_new_tokens"]) == (16, 1.0, 8192)
    assert (algorithm["learning_rate"], algorithm["kl_coef"], algorithm["warmup_ratio"]) == (learning_rate, 1e-3, 0.03)
    assert (algorithm["critic"] or {"learning_rate": None})["learning_rate"] == critic_learning_rate
    assert (algorithm["kl_in"], algorithm["kl"]["_target_"].rpartition(".")[2]) == ("reward", "k1")
    assert (algorithm["estimator"]["gamma"], algorithm["estimator"].get("lam", 1.0)) == (1.0, 1.0)
    # 128 samples, or 256, in an optimiser step, as in the paper.
    assert prompts * rollout["samples"] // algorithm["mini_batches"] == prompts
    assert config["reward"]["weights"] == {"accuracy": 1.0, "format": 0.5}


@pytest.mark.parametrize(
    ("row", "estimator", "learning_rate", "prompts", "steps"),
    [
        ("fre_text_released", "return_to_go", 4e-7, 256, 2 * 40_300 // 256),
        ("fre_multi_released", "return_to_go", 1e-6, 256, 2 * 65_118 // 256),
        ("mgt_geo_released", "generalised_advantage", 1e-6, 256, 2 * 16_810 // 256),
        ("direct_rl_geo_released", "generalised_advantage", 1e-6, 256, 2 * 16_810 // 256),
    ],
)
def test_the_released_rows_have_the_values_of_the_scripts(row, estimator, learning_rate, prompts, steps):
    config = training(f"experiment={row}", "dataset.path=problems.jsonl")
    algorithm, trainer = config["algorithm"], config["trainer"]
    assert algorithm["estimator"]["_target_"].rpartition(".")[2] == estimator
    assert (algorithm["learning_rate"], algorithm["kl_coef"], algorithm["mini_batches"]) == (learning_rate, 1e-3, 16)
    assert algorithm["aggregation"]["_target_"].rpartition(".")[2] == "token_mean"
    assert (trainer["prompts_per_step"], trainer["steps"]) == (prompts, steps)
    assert config["rollout"]["max_new_tokens"] == 4096


def test_an_algorithm_is_named_like_its_file():
    assert all(training(f"algorithm={name}")["algorithm"]["name"] == name for name in TRAINING["algorithm"])


@pytest.mark.parametrize(
    ("name", "group", "option"),
    [
        *[("train", group, option) for group in TRAINING for option in TRAINING[group] if group != "experiment"],
        *[("eval", "benchmark", option) for option in EVALUATION["benchmark"]],
    ],
)
def test_every_callee_exists_and_takes_the_arguments_that_are_written_for_it(name, group, option):
    config = composed(name, f"{group}={option}", *needed(group, option))
    for key, node in callees(config):
        target = get_object(node["_target_"])
        arguments = {argument: None for argument in node if not argument.startswith("_")}
        signature = inspect.signature(target)
        bind = signature.bind_partial if node.get("_partial_") else signature.bind
        try:
            bind(**arguments)
        except TypeError as error:
            pytest.fail(f"{key}: {node['_target_']}: {error}")


@pytest.mark.parametrize("option", TRAINING["rollout"])
def test_every_engine_can_be_built_from_a_model_path_alone(option):
    config = training(f"rollout={option}", *needed("rollout", option))
    node = config["rollout"]["engine"]
    arguments = {argument: None for argument in node if not argument.startswith("_")}
    inspect.signature(get_object(node["_target_"])).bind(model_path="folder", **arguments)


def callees(node: Any, key: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield key, node
        for name, value in node.items():
            yield from callees(value, f"{key}.{name}")


def differences(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    """The leaves that are not the same in both."""

    def value(config: Any, key: str) -> Any:
        for part in key.split("."):
            config = config.get(part) if isinstance(config, dict) else None
        return config

    keys = {*keys_of(before), *keys_of(after)}
    return {
        key
        for key in keys
        if value(before, key) != value(after, key)
        and not (isinstance(value(before, key), dict) and isinstance(value(after, key), dict))
    }


def test_the_contents_pages_fit_on_a_screen():
    for page in ("train.yaml", "eval.yaml"):
        assert len((CONFIG_FOLDER / page).read_text().splitlines()) <= 50


def test_every_file_says_what_it_is_for():
    for path in [*CONFIG_FOLDER.rglob("*.yaml"), *(CONFIG_FOLDER / "experiment").glob("*.yaml")]:
        lines = path.read_text().splitlines()
        assert lines[lines[0].startswith("# @package")].startswith("# "), path
