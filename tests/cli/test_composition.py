from __future__ import annotations

import pytest

from lmm_r1.cli.composition import compose_config, plain
from lmm_r1.errors import UserError


def message(*overrides: str, name: str = "train") -> str:
    with pytest.raises(UserError) as caught:
        compose_config(name, overrides)
    return str(caught.value)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("stge=mgt", "stge: no such key; did you mean stage?"),
        ("algorithm.learnin_rate=1", "algorithm.learnin_rate: no such key; did you mean algorithm.learning_rate?"),
        ("lr=1", "lr: no such key; did you mean algorithm.learning_rate?"),
        ("reward.weights.formt=0", "reward.weights.formt: no such key; did you mean reward.weights.format?"),
        ("stage=fer", "stage=fer: no such option; choose one of fre, mgt, sft; did you mean fre?"),
        ("+stge=mgt", "+stge=mgt: keys can neither be added nor removed here; did you mean stage?"),
        (
            "++trainer.stps=1",
            "++trainer.stps=1: keys can neither be added nor removed here; did you mean trainer.steps?",
        ),
        ("+algorithm.momentum=1", "+algorithm.momentum=1: keys can neither be added nor removed here"),
        ("+experiment=fre_text", "+experiment=fre_text: choose an option with experiment=<option>"),
        ("~logger", "~logger: choose an option with logger=<option>"),
        ("ablation=null", "ablation=null: no such option"),
        ("dataset=_synthetic", "dataset=_synthetic: no such option"),
        ("seed=1,2", "seed=1,2: several values need -m"),
        ("shaping=[cosine,repetitoin]", "shaping=[cosine,repetitoin]: no such option; choose some of cosine"),
        ("shaping=null", "shaping=null: no such option"),
        ("model=[tiny,tiny_lora]", "model=[tiny,tiny_lora]: no such option; choose one of"),
    ],
)
def test_a_mistyped_word_is_named_and_the_nearest_suggested(override, expected):
    assert message(override).startswith(expected)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("algorithm.learning_rate=abc", "must be a number, not text"),
        ("trainer.steps=1.5", "must be a whole number, not a number"),
        ("seed=true", "must be a whole number, not true or false"),
        ("model.freeze_vision=1", "must be true or false, not a whole number"),
        ("dataset.families=grid", "must be a list, not text"),
        ("algorithm.loss=0.2", "must be a group of keys, not a number"),
        ("output_root=2024", "must be text, not a whole number; quote it: \"output_root='2024'\""),
    ],
)
def test_a_value_has_the_type_of_its_default(override, expected):
    assert message(override) == f"{override}: {expected}"


@pytest.mark.parametrize(
    "override",
    [
        "algorithm.kl_coef=1",
        "++trainer.steps=3",
        "trainer.threads=2",
        "model.system_prompt='Think.'",
        "+reward.weights.brevity=0.1",
        "+reward.terms.brevity={_target_: some.term}",
        "~reward.terms.format",
        "hydra.run.dir=elsewhere",
    ],
)
def test_what_is_meant_passes(override):
    compose_config("train", [override])


def test_a_value_that_must_be_given_is_asked_for_with_where_to_get_it():
    assert message("dataset=local") == "dataset.path is missing: give dataset.path=<value>"
    assert "DeepScaleR" in message("dataset=deepscaler")
    assert message("model=hub") == "model.path is missing: give model.path=<value>"


def test_of_some_groups_several_options_can_be_chosen_or_none():
    for override, chosen in {
        "shaping=[cosine,repetition]": {"cosine", "repetition"},
        "shaping=cosine": {"cosine"},
        "shaping=[]": set(),
    }.items():
        config = compose_config("train", [override])
        assert set(config.reward.terms) == set(config.reward.weights) - {"accuracy"} == {"format", *chosen}
    assert message("shaping=cosine,repetition").endswith("to have them all at once: 'shaping=[cosine,repetition]'")


def test_an_entry_point_knows_its_own_groups_only():
    assert message("stage=fre", name="eval").startswith("stage: no such key")
    compose_config("eval", ["benchmark=synthetic"])


def test_interpolations_are_resolved_in_the_plain_configuration():
    config = plain(compose_config("train", ["dataset.families=[grid]", "model.max_pixels=7056"]))
    assert config["dataset"]["train"]["families"] == config["dataset"]["validation"]["families"] == ["grid"]
    assert config["rollout"]["engine"]["max_pixels"] == 7056
    with pytest.raises(UserError, match="nowhere"):
        plain(compose_config("train", ["output_root=${nowhere}"]))


def test_a_folder_of_one_s_own_adds_options(tmp_path):
    (tmp_path / "reward").mkdir()
    (tmp_path / "reward" / "brief.yaml").write_text("defaults: [rule, _self_]\nweights: {accuracy: 2.0}\n")
    search = f"hydra.searchpath=[file://{tmp_path}]"
    config = plain(compose_config("train", [search, "reward=brief"]))
    assert config["reward"]["weights"]["accuracy"] == 2.0
    assert "choose one of accuracy_only, brief, lmm_r1, rule" in message(search, "reward=breif")
