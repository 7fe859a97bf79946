from __future__ import annotations

import pytest

from lmm_r1.cli.composition import compose_config, keys_of, plain
from lmm_r1.cli.paths import register_resolvers
from lmm_r1.cli.run_folder import (
    ANNOUNCED_ON_RESUME,
    HARMLESS_ON_RESUME,
    changes,
    folder_to_resume,
    link_latest,
    read_config,
    rescored_config,
    resumed_config,
    write_config,
)
from lmm_r1.cli.starting_run import newest_finished_run, starting_folder
from lmm_r1.cli.train_command import final_config
from lmm_r1.errors import UserError

STORED = {
    "stage_name": "fre",
    "seed": 3,
    "init_from": "/runs/fre/1",
    "resume": None,
    "output_root": "outputs",
    "trainer": {"steps": 60, "devices": 1},
    "logger": {"wandb": None},
}


def composed(**changes):
    return {**STORED, "init_from": "latest_fre", "resume": "latest", **changes}


def finish(folder):
    (folder / "export").mkdir(parents=True)
    (folder / "export" / "config.json").write_text("{}")
    (folder / "summary.json").write_text("{}")


def test_a_configuration_is_read_as_it_was_written(tmp_path):
    config = {"b": 1.0e-6, "a": {"text": "$1+1=2$ ü", "nothing": None, "list": [1, "x"]}}
    write_config(tmp_path, config, "python train.py stage=fre")
    assert read_config(tmp_path) == config
    assert list(read_config(tmp_path)) == ["b", "a"]
    assert (tmp_path / "config.yaml").read_text().startswith("# python train.py stage=fre\n")
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


@pytest.mark.parametrize("content", ["", "seed: [1", "\0" * 100], ids=["empty", "cut", "zeros"])
def test_a_damaged_configuration_is_named(tmp_path, content):
    (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(UserError, match=r"config\.yaml: damaged"):
        read_config(tmp_path)


def test_the_commands_that_led_to_a_configuration_stand_above_it(tmp_path):
    write_config(tmp_path, {"steps": 60}, "python train.py stage=fre")
    write_config(tmp_path, {"steps": 80}, "python train.py resume=latest trainer.steps=80")
    assert (tmp_path / "config.yaml").read_text() == (
        "# python train.py stage=fre\n# python train.py resume=latest trainer.steps=80\nsteps: 80\n"
    )


def test_latest_points_at_the_newest_run_and_moves_with_the_folder(tmp_path):
    for name in ("first", "second"):
        (tmp_path / "fre" / name).mkdir(parents=True)
        link_latest(tmp_path / "fre" / name)
    (tmp_path / "fre").rename(tmp_path / "moved")
    latest = tmp_path / "moved" / "latest"
    assert latest.is_symlink() and latest.resolve().name == "second"
    assert sorted(path.name for path in (tmp_path / "moved").iterdir()) == ["first", "latest", "second"]


def test_resume_finds_a_run_by_name_or_folder(tmp_path):
    run = tmp_path / "fre" / "run"
    run.mkdir(parents=True)
    with pytest.raises(UserError, match="resume=latest: no run"):
        folder_to_resume("resume", "latest", tmp_path / "fre")
    write_config(run, STORED, "x")
    link_latest(run)
    assert folder_to_resume("resume", "latest", tmp_path / "fre") == run
    assert folder_to_resume("resume", str(run), tmp_path / "mgt") == run


def test_a_resumed_run_keeps_its_own_configuration():
    other_defaults = composed(seed=0, trainer={"steps": 10, "devices": 1})
    assert resumed_config(STORED, other_defaults, ["resume"]) == STORED
    assert resumed_config(STORED, other_defaults, ["stage", "resume", "hydra.run.dir"]) == STORED


def test_a_resumed_run_may_be_longer_and_logged_elsewhere():
    now = composed(trainer={"steps": 80, "devices": 1}, logger={"wandb": {"offline": True}})
    config = resumed_config(STORED, now, ["resume", "trainer.steps", "logger"])
    assert config == {**STORED, "trainer": {"steps": 80, "devices": 1}, "logger": {"wandb": {"offline": True}}}


def test_memory_and_speed_may_change_on_resume_alone_or_with_the_command_repeated():
    stored = {**STORED, "rollout": {"engine": {"max_images": 1, "max_model_len": 2048}}}
    now = {**composed(), "rollout": {"engine": {"max_images": 4, "max_model_len": 4096}}}
    for command in (["resume"], ["resume", "stage", "seed"]):
        config = resumed_config(stored, now, [*command, "rollout.engine.max_images"])
        assert config == {**stored, "rollout": {"engine": {"max_images": 4, "max_model_len": 2048}}}
    assert stored["rollout"]["engine"]["max_images"] == 1
    assert list(changes(stored, config)) == [
        "rollout.engine.max_images=4 from here on, rollout.engine.max_images=1 before"
    ]


def test_a_setting_of_no_group_may_change_on_resume_too():
    stored, now = {**STORED, "max_bad_rows": 100}, {**composed(), "max_bad_rows": 200}
    assert resumed_config(stored, now, ["resume", "max_bad_rows"]) == {**STORED, "max_bad_rows": 200}
    with pytest.raises(UserError, match="max_bad_rows=200: the run to resume has no such setting"):
        resumed_config(STORED, now, ["resume", "max_bad_rows"])


def test_what_may_change_on_resume_is_a_setting(repository):
    register_resolvers()
    known = set()
    for overrides in ([], ["stage=sft"], ["algorithm=ppo"]):
        known |= set(keys_of(plain(compose_config("train", overrides))))
    assert set(HARMLESS_ON_RESUME) | set(ANNOUNCED_ON_RESUME) <= known


def test_a_setting_that_the_run_does_not_have_is_named():
    with pytest.raises(UserError, match=r"rollout\.engine\.max_images=4: the run to resume has no such setting"):
        resumed_config(STORED, composed(rollout={"engine": {"max_images": 4}}), ["resume", "rollout.engine.max_images"])


def test_fewer_steps_than_are_done_are_refused(tmp_path):
    config = composed(trainer={"steps": 5, "devices": 1}, resume=str(tmp_path))
    write_config(tmp_path, STORED, "x")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "step_000006.ckpt").touch()
    with pytest.raises(UserError, match=r"trainer\.steps=5: 6 steps of .* are done already; give at least 6"):
        final_config(config, ["resume=x", "trainer.steps=5"])
    config["trainer"]["steps"] = 6
    assert final_config(config, ["resume=x", "trainer.steps=6"])[0]["trainer"]["steps"] == 6


def test_the_command_that_started_a_run_may_be_repeated_to_resume_it():
    assert resumed_config(STORED, composed(), ["stage", "seed", "experiment", "resume"]) == STORED


def test_a_resumed_run_cannot_be_changed():
    with pytest.raises(UserError, match="seed=4: the run to resume has seed=3"):
        resumed_config(STORED, composed(seed=4), ["seed", "resume"])
    with pytest.raises(UserError, match=r"trainer\.devices=2"):
        resumed_config(STORED, composed(trainer={"steps": 60, "devices": 2}), ["trainer", "resume"])
    with pytest.raises(UserError, match="one of stage=fre"):
        resumed_config(STORED, composed(stage_name="mgt"), ["stage", "resume"])


def test_a_setting_that_may_not_change_is_the_one_that_is_named():
    other_defaults = composed(seed=0, trainer={"steps": 60, "devices": 2})
    with pytest.raises(UserError, match=r"^trainer\.devices=2: the run to resume has trainer\.devices=1"):
        resumed_config(STORED, other_defaults, ["resume", "trainer.devices"])
    assert resumed_config(STORED, composed(trainer={"steps": 9, "devices": 9}), ["resume", "seed"]) == STORED


def test_scoring_again_reads_the_reward_alone():
    stored = {"reward": {"weights": 1}, "rescore": None, "samples": 1}
    now = {"reward": {"weights": 2}, "rescore": "latest", "samples": 5}
    assert rescored_config(stored, now, ["rescore", "reward"]) == {**now, "samples": 1}
    with pytest.raises(UserError, match=r"^samples: has no effect"):
        rescored_config(stored, now, ["rescore", "samples"])


def test_latest_fre_is_the_newest_run_that_finished(tmp_path):
    fre = tmp_path / "fre"
    with pytest.raises(UserError, match=r"stage=fre.*ablation=direct_rl"):
        starting_folder("latest_fre", tmp_path)
    finish(fre / "2025-01-01")
    finish(fre / "2025-01-02")
    (fre / "2025-01-03").mkdir()
    link_latest(fre / "2025-01-03")
    assert newest_finished_run(fre) == starting_folder("latest_fre", tmp_path) == fre / "2025-01-02"


def test_a_start_is_a_finished_run_or_a_model(tmp_path):
    finish(tmp_path / "run")
    assert starting_folder(str(tmp_path / "run"), tmp_path) == tmp_path / "run"
    assert starting_folder(str(tmp_path / "run" / "export"), tmp_path) == tmp_path / "run" / "export"
    (tmp_path / "run" / "summary.json").unlink()
    write_config(tmp_path / "run", STORED, "x")
    with pytest.raises(UserError, match="has not finished; go on with it"):
        starting_folder(str(tmp_path / "run"), tmp_path)
    with pytest.raises(UserError, match="neither"):
        starting_folder(str(tmp_path / "nothing"), tmp_path)
