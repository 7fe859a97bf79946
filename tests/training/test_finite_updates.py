"""A run whose updates or weights are not finite ends with the cause, and leaves what was good."""

from __future__ import annotations

import logging
import math
import re
import shlex
from pathlib import Path

import lightning as L
import pytest
import torch

from lmm_r1.cli.replay_command import replay_command
from lmm_r1.cli.run_folder import write_config
from lmm_r1.errors import UserError
from lmm_r1.training.checkpoint_folder import checkpoint_path
from lmm_r1.training.checkpoints import Checkpoints
from lmm_r1.training.finite_updates import FiniteUpdates
from lmm_r1.training.interrupts import Interrupts
from tests.running import run
from tests.training.running import SMALL, assert_equal, checkpoint, metrics, weights
from tests.training.updating import experience_of, loader_of, module_of, settings, spoil_gradient, trainer_of

STEPS = 8


@pytest.fixture
def fit(random_model, processor, make_groups, banned, tmp_path):
    """A run of updates in `tmp_path`, from a module and from how many steps were done on."""
    experiences = [experience_of(make_groups(2, 2, seed), processor) for seed in range(STEPS)]

    def fit(
        module,
        first: int = 0,
        *,
        every: int = 1,
        keep: int = 2,
        most_skipped: int = 3,
        others: tuple[L.Callback, ...] = (),
    ):
        folder = tmp_path / "checkpoints"
        resume = checkpoint_path(folder, first) if first else None
        saver = Checkpoints(folder, Interrupts(), every=every, keep=keep, steps=STEPS, resume=resume)
        finite = FiniteUpdates(tmp_path, most_skipped=most_skipped, replay="python train.py rollout=replay")
        trainer_of(*others, finite, saver).fit(module, loader_of(*experiences[first:]))
        return module

    fit.experiences = experiences
    fit.module = lambda **changes: module_of(random_model, settings(**changes), banned)
    return fit


def saved(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


def test_a_few_skipped_steps_in_a_row_end_the_run_and_it_goes_on_from_the_last_good_one(fit, tmp_path, caplog):
    module = fit.module()
    spoil_gradient(module.policy, math.nan, set(range(2, STEPS)))
    with caplog.at_level(logging.WARNING), pytest.raises(UserError) as caught:
        fit(module)
    message, logged = str(caught.value), [record.getMessage() for record in caplog.records]
    assert message.startswith("step 5: 3 optimiser steps in a row were skipped, because of NaN or infinity in the ")
    assert "gradient alone (trainer.max_skipped_steps=3); remove" in message and "\n" not in message
    # The weights after step 2 are those of the end: nothing was taken since.
    assert "step_000002.ckpt, whose weights led to it, and go on from step 1 with: python train.py resume=" in message
    assert "algorithm.learning_rate=<a lower one>" in message
    assert sum("1 optimiser step was skipped (policy/skipped_steps)" in line for line in logged) == 3
    assert any("completions of step 5" in line and line.endswith("rollout=replay") for line in logged)
    assert saved(tmp_path) == ["step_000001.ckpt", "step_000002.ckpt"]
    assert all(tensor.isfinite().all() for tensor in weights(tmp_path, 2).values())
    resumed = fit(fit.module(), first=2)
    whole = fit(fit.module(), every=STEPS)
    assert_equal(dict(resumed.state_dict()), dict(whole.state_dict()))


def test_a_step_that_is_taken_ends_the_row_and_a_checkpoint_knows_of_it(fit, tmp_path):
    module = fit.module()
    spoil_gradient(module.policy, math.nan, {1, 2, 4, 6, 7})
    fit(module)
    # None while steps are skipped, the last excepted, which is the run's end.
    assert saved(tmp_path) == ["step_000006.ckpt", "step_000008.ckpt"]
    assert checkpoint(tmp_path, 8)["run"]["module"]["skipped_in_a_row"] == {"policy": 2}
    again = fit.module()
    with pytest.raises(UserError, match="step 8: 2 optimiser steps in a row"):
        spoil_gradient(again.policy, math.nan, {0, 1})
        fit(again, first=6, most_skipped=2)


def test_a_checkpoint_that_fell_due_while_steps_were_skipped_is_written_after_them(fit, tmp_path):
    module = fit.module()
    spoil_gradient(module.policy, math.nan, {2, 3})
    fit(module, every=3, keep=9)
    assert saved(tmp_path) == [f"step_{step:06d}.ckpt" for step in (5, 6, STEPS)]


def test_weights_that_are_no_numbers_end_the_run_at_once_and_are_never_saved(fit, tmp_path):
    class Burst(L.Callback):
        def on_train_batch_end(self, trainer, module, *_) -> None:
            if module.steps_done == 4:
                with torch.no_grad():
                    module.policy.model.visual.patch_embed.proj.weight.view(-1)[5] = -math.inf

    with pytest.raises(UserError) as caught:
        fit(fit.module(), others=(Burst(),))
    assert re.match(
        r"step 4: policy\.model\.visual\S+weight holds NaN or infinity; go on from step 3 with", str(caught.value)
    )
    assert saved(tmp_path) == ["step_000002.ckpt", "step_000003.ckpt"]


def test_a_run_does_not_begin_with_weights_that_are_no_numbers(fit, tmp_path):
    module = fit.module()
    with torch.no_grad():
        module.policy.model.language_model.norm.weight[0] = math.nan
    with pytest.raises(UserError, match=r"policy\.model\.language_model\.norm\.weight holds NaN or infinity before"):
        fit(module)


def test_a_checkpoint_of_weights_that_are_no_numbers_is_not_written(fit, tmp_path):
    class Unseen(L.Callback):
        """After all who look."""

        def on_train_batch_end(self, trainer, module, *_) -> None:
            if module.steps_done == 2:
                with torch.no_grad():
                    module.policy.model.visual.patch_embed.proj.weight.view(-1)[5] = -math.inf
                saver = next(each for each in trainer.callbacks if isinstance(each, Checkpoints))
                saver.save(trainer, module)

    (tmp_path / "checkpoints").mkdir()
    module = fit.module()
    saver = Checkpoints(tmp_path / "checkpoints", Interrupts(), every=1, keep=1, steps=STEPS)
    trainer = trainer_of(saver, Unseen())
    with pytest.raises(UserError, match=r"the checkpoint of step 2 is not written: .* policy\.model\.visual\.patch"):
        trainer.fit(module, loader_of(*fit.experiences))
    assert saved(tmp_path) == ["step_000002.ckpt"]
    assert all(tensor.isfinite().all() for tensor in weights(tmp_path, 2).values())


def test_the_replay_is_the_first_command_with_the_stored_rollouts_for_an_engine(tmp_path):
    folder = tmp_path / "2026-01-01"
    folder.mkdir()
    command = (
        "python train.py stage=mgt init_from=latest_fre rollout=vllm_gpu rollout.samples=4 rollout.engine.dtype=float32"
    )
    config = {"stage_name": "mgt", "init_from": "outputs/fre/1"}
    write_config(folder, config, command)
    write_config(folder, config, "python train.py resume=latest trainer.steps=9")
    assert shlex.split(replay_command(folder, config)) == [
        "python",
        "train.py",
        "stage=mgt",
        "rollout.samples=4",
        "init_from=outputs/fre/1",
        "rollout=replay",
        f"rollout.engine.folder={folder}",
    ]
    assert replay_command(folder, {"stage_name": "sft", "init_from": None}) is None


@pytest.mark.slow
def test_a_run_that_diverges_says_so_and_its_replay_does_the_same(tmp_path):
    """A learning rate that makes the first step the last that is finite."""
    diverging = ("stage=fre", *SMALL, "rollout=transformers", "trainer.steps=6", "algorithm.learning_rate=1e20")
    output = run("train.py", *diverging, f"output_root={tmp_path}", expect=2)
    folder = (tmp_path / "fre" / "latest").resolve()
    assert "step 4: 3 optimiser steps in a row were skipped, because of NaN or infinity in the loss" in output
    assert "start again with a lower algorithm.learning_rate" in output and "max_new_tokens" not in output
    assert "every reward is 0" not in output and "Traceback" not in output
    assert saved(folder) == ["step_000001.ckpt"]
    assert all(tensor.isfinite().all() for tensor in weights(folder, 1).values())
    assert not (folder / "export").exists() and not (folder / "summary.json").exists()
    assert len(list((folder / "rollouts").glob("*.parquet"))) == 4
    words = shlex.split(re.search(r"with: python (train\.py .*)", output)[1])
    again = run(*words, expect=2)
    assert "step 4: 3 optimiser steps in a row" in again
    assert metrics((tmp_path / "fre" / "latest").resolve()) == metrics(folder)
