"""A resumed run goes on with what it began with, or says in what it differs."""

from __future__ import annotations

import json
from dataclasses import replace

import lightning as L
import pytest
import torch

from lmm_r1.errors import UserError
from lmm_r1.training.checkpoint_folder import checkpoint_path
from lmm_r1.training.checkpoints import Checkpoints
from lmm_r1.training.continuation import Conditions, ScheduleOfResumedRun, check_continuation, note_conditions
from lmm_r1.training.interrupts import Interrupts
from lmm_r1.training.lineage import code_fingerprint, model_fingerprint
from lmm_r1.training.optimiser import optimiser_with_schedule
from tests.training.updating import trainer_of

NOW = Conditions("data", "validation", "model", "code", "4c617e7", {"torch": "2.13.0", "peft": "0.21"})


def first_steps(folder):
    return [part["first_step"] for part in json.loads((folder / "lineage.json").read_text())]


def test_each_part_of_a_run_is_noted_and_what_is_done_again_replaces_what_was_done(tmp_path):
    for first_step in (0, 4, 8, 4):
        note_conditions(tmp_path, replace(NOW, code=f"code {first_step}"), first_step=first_step)
    assert first_steps(tmp_path) == [0, 4]


@pytest.mark.parametrize("name", ["data", "validation", "model"])
def test_a_run_is_not_resumed_with_other_data_or_another_model(tmp_path, name):
    note_conditions(tmp_path, NOW, first_step=0)
    check_continuation(tmp_path, NOW)
    with pytest.raises(UserError, match=r"is not what the run was made with so far; .* remove .*lineage\.json"):
        check_continuation(tmp_path, replace(NOW, **{name: "another"}))


def test_other_code_and_versions_are_said(tmp_path, caplog):
    note_conditions(tmp_path, NOW, first_step=0)
    other = {"torch": "2.14.0", "vllm": "0.32"}
    check_continuation(tmp_path, replace(NOW, code="other", git_commit="5d728f8", versions=other))
    assert [record.message for record in caplog.records] == [
        "resumed with other code: commit 5d728f8, before 4c617e7",
        "resumed with peft none, before 0.21",
        "resumed with torch 2.14.0, before 2.13.0",
        "resumed with vllm 0.32, before none",
    ]


@pytest.mark.parametrize("content", [None, '[{"first_st', ""])
def test_without_a_sound_lineage_nothing_is_compared_and_it_is_begun_anew(tmp_path, content):
    if content is not None:
        (tmp_path / "lineage.json").write_text(content)
    check_continuation(tmp_path, NOW)
    note_conditions(tmp_path, NOW, first_step=4)
    assert first_steps(tmp_path) == [4]


def test_a_model_s_fingerprint_changes_with_its_weights_and_not_with_its_place(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
        (tmp_path / name / "model.safetensors").write_bytes(bytes(3_000_000))
    assert model_fingerprint(str(tmp_path / "a")) == model_fingerprint(str(tmp_path / "b"))
    (tmp_path / "b" / "model.safetensors").write_bytes(b"\1" * 3_000_000)
    assert model_fingerprint(str(tmp_path / "a")) != model_fingerprint(str(tmp_path / "b"))
    assert model_fingerprint("Qwen/3B") != model_fingerprint("Qwen/7B")
    assert code_fingerprint() == code_fingerprint()


class Line(L.LightningModule):
    """One weight, a cosine over `steps`, and the learning rate of each step."""

    def __init__(self, rate: float, steps: int) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.weight = torch.nn.Linear(1, 1)
        self.rate, self.steps, self.steps_done, self.rates = rate, steps, 0, []

    def configure_optimizers(self):
        shape = {"betas": (0.9, 0.95), "weight_decay": 0.0, "schedule": "cosine", "warmup_ratio": 0.0, "min_ratio": 0.1}
        return optimiser_with_schedule(self, learning_rate=self.rate, steps=self.steps, processes=1, **shape)

    def training_step(self, batch, batch_idx):
        self.rates.append(self.optimizers().param_groups[0]["lr"])
        self.manual_backward(self.weight(batch).sum())
        self.optimizers().step()
        self.lr_schedulers().step()
        self.steps_done += 1

    def on_load_checkpoint(self, checkpoint):
        self.steps_done = 4


def rates(folder, rate: float, steps: int, first_step: int = 0) -> list[float]:
    """The learning rates of a run of so many steps, or of its second part."""
    module = Line(rate, steps)
    last, resume = (steps, checkpoint_path(folder, first_step)) if first_step else (4, None)
    saver = Checkpoints(folder, Interrupts(), every=100, keep=9, steps=last, resume=resume)
    data = torch.utils.data.DataLoader(torch.ones(4, 1))
    trainer_of(ScheduleOfResumedRun([rate]), saver).fit(module, data)
    return module.rates


@pytest.fixture(scope="module")
def whole() -> list[float]:
    """The learning rates of eight steps in one go."""
    module = Line(1.0, 8)
    trainer_of(max_steps=10**9).fit(module, torch.utils.data.DataLoader(torch.ones(8, 1)))
    return module.rates


def test_a_longer_run_follows_its_own_schedule_from_the_next_step_on_and_says_where_it_jumps(whole, tmp_path, caplog):
    rates(tmp_path, 1.0, 4)
    assert rates(tmp_path, 1.0, 8, first_step=4) == whole[4:]
    assert "after step 4 the learning rate goes on at 0.55, not at 0.1" in caplog.text


def test_a_smaller_learning_rate_takes_effect_on_resume(whole, tmp_path, caplog):
    rates(tmp_path, 1.0, 8)
    assert rates(tmp_path, 0.5, 8, first_step=4) == [rate / 2 for rate in whole[4:]]
    assert "the learning rate goes on at 0.275, not at 0.55" in caplog.text


def test_an_unchanged_schedule_goes_on_without_a_word(tmp_path, caplog):
    rates(tmp_path, 1.0, 8)
    rates(tmp_path, 1.0, 8, first_step=4)
    assert "another schedule" not in caplog.text
