"""Laws of checkpoints: whole, sound, of any number of processes, and never lost to the next."""

from __future__ import annotations

import pickle
import socket
import tempfile
from pathlib import Path

import lightning as L
import pytest
import torch

from lmm_r1.errors import UnwritableError, UserError
from lmm_r1.training import checkpoint_state
from lmm_r1.training.checkpoint_folder import (
    checkpoint_path,
    clear_up,
    newest_sound_checkpoint,
    steps_in,
    write_manifest,
)
from lmm_r1.training.checkpoints import Checkpoints
from lmm_r1.training.interrupts import Interrupts
from lmm_r1.training.random_state import random_state, set_random_state
from tests.running import start
from tests.training.running import assert_equal, contents
from tests.training.updating import configured, experience_of, loader_of, module_of, trainer_of


@pytest.fixture
def written(tmp_path):
    """A run's checkpoints of one, two and three steps."""
    folder = tmp_path / "checkpoints"
    for steps in (1, 2, 3):
        path = checkpoint_path(folder, steps)
        path.mkdir(parents=True)
        for name in (".metadata", "__0_0_0.distcp", "__1_0_0.distcp"):
            (path / name).write_bytes(b"tensors")
        write_manifest(path)
    return folder


DAMAGES = {
    "truncated": (lambda path: (path / "__0_0_0.distcp").write_bytes(b"tens"), r"__0_0_0.distcp has 4 bytes of 7"),
    "empty": (lambda path: (path / ".metadata").write_bytes(b""), r".metadata has 0 bytes of 7"),
    "missing": (lambda path: (path / "__1_0_0.distcp").unlink(), r"__1_0_0.distcp is missing"),
    "no manifest": (lambda path: (path / "manifest.json").unlink(), "manifest.json is missing"),
    "half a manifest": (lambda path: (path / "manifest.json").write_text('{"files": {'), "manifest.json cannot be"),
    "an empty manifest": (lambda path: (path / "manifest.json").write_text(""), "manifest.json cannot be read"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_the_newest_sound_checkpoint_is_used_and_a_damaged_one_is_named_and_set_aside(written, caplog, kind):
    damage, reason = DAMAGES[kind]
    damage(checkpoint_path(written, 3))
    chosen = newest_sound_checkpoint(written)
    assert chosen == checkpoint_path(written, 2) and steps_in(chosen) == 2
    assert checkpoint_path(written, 3).exists(), "only one process renames, whenever it comes to it"
    (written / "step_000004.ckpt.0123abcd.partial").mkdir()
    clear_up(written.parent, chosen)
    assert f"step_000003.ckpt is damaged ({reason}" in caplog.text and "goes on from step_000002.ckpt" in caplog.text
    assert sorted(path.name for path in written.iterdir()) == [
        "step_000001.ckpt",
        "step_000002.ckpt",
        "step_000003.ckpt.damaged",
    ]
    assert newest_sound_checkpoint(written) == chosen


def test_a_run_whose_checkpoints_are_all_damaged_does_not_begin_anew_in_silence(written):
    for steps in (1, 2, 3):
        DAMAGES["missing"][0](checkpoint_path(written, steps))
    with pytest.raises(UserError, match=r"no checkpoint to go on from \(step_000001.ckpt: __1_0_0.distcp is missing;"):
        newest_sound_checkpoint(written)
    assert len(list(written.glob("step_*.ckpt"))) == 3


def test_without_a_checkpoint_there_is_none(tmp_path):
    assert newest_sound_checkpoint(tmp_path / "checkpoints") is None


def test_a_checkpoint_that_was_being_written_is_not_the_newest(written):
    checkpoint_path(written, 3).rename(written / "step_000003.ckpt.0123abcd.partial")
    assert newest_sound_checkpoint(written) == checkpoint_path(written, 2)


def test_the_order_of_checkpoints_is_that_of_their_steps(written):
    checkpoint_path(written, 3).rename(checkpoint_path(written, 1_000_000))
    assert steps_in(newest_sound_checkpoint(written)) == 1_000_000


def test_a_single_file_of_an_earlier_version_is_refused_in_one_line(written):
    checkpoint_path(written, 4).write_bytes(b"PK")
    with pytest.raises(UserError, match=r"step_000004.ckpt: a single file, written by an earlier version"):
        newest_sound_checkpoint(written)


@pytest.fixture
def taking_steps(random_model, processor, banned, make_groups):
    """Takes two steps, or the second alone after a checkpoint, each saved in a folder; returns the module."""
    algorithm = configured("grpo", mini_batches=1, inner_epochs=1, micro_batch_tokens=200, learning_rate=1e-3)
    experiences = [experience_of(make_groups(2, 3, seed), processor, algorithm) for seed in range(2)]

    def take(folder, *callbacks, resume=None, keep=9, every=1):
        module = module_of(random_model, algorithm, banned)
        saver = Checkpoints(folder, Interrupts(), every=every, keep=keep, steps=2, resume=resume)
        trainer_of(*callbacks, saver).fit(module, loader_of(*experiences[1 if resume else 0 :]))
        return module

    return take


def test_a_resumed_step_is_the_one_that_was_not_interrupted_however_many_files_hold_it(
    taking_steps, tmp_path, monkeypatch
):
    taking_steps(tmp_path / "whole")
    monkeypatch.setattr(checkpoint_state, "FILE_BYTES", 1_000_000)
    taking_steps(tmp_path / "parts")
    files = list((tmp_path / "parts" / "step_000001.ckpt").glob("*.distcp"))
    assert len(files) > 15 and max(path.stat().st_size for path in files) < 1_500_000
    taking_steps(tmp_path / "resumed", resume=tmp_path / "parts" / "step_000001.ckpt")
    whole = contents(tmp_path / "whole" / "step_000002.ckpt")
    assert_equal(whole, contents(tmp_path / "resumed" / "step_000002.ckpt"))
    assert_equal(whole, contents(tmp_path / "parts" / "step_000002.ckpt"))
    # The tied output head has two names and is written once.
    assert not any("lm_head" in name for name in whole)


def test_nothing_goes_through_the_folder_of_temporary_files(taking_steps, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    taking_steps(tmp_path / "checkpoints", keep=1)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step_000002.ckpt"]


def test_a_full_disk_is_one_line_and_leaves_the_checkpoint_before(taking_steps, small_disk):
    """Room for one checkpoint, 22 MB, and not for two: the oldest goes when the newest has its name, not before."""
    folder = small_disk(35) / "checkpoints"
    with pytest.raises(UnwritableError) as raised:
        taking_steps(folder, keep=1)
    assert str(raised.value) == f"{folder}/step_000002.ckpt cannot be written: no space left on device"
    assert [path.name for path in folder.iterdir()] == ["step_000001.ckpt"]
    assert newest_sound_checkpoint(folder) is not None


def test_damage_that_sizes_do_not_show_is_one_line(taking_steps, tmp_path):
    taking_steps(tmp_path)
    damaged = tmp_path / "step_000001.ckpt"
    for file in damaged.glob("*.distcp"):
        file.write_bytes(bytes(file.stat().st_size))
    assert newest_sound_checkpoint(tmp_path) is not None
    with pytest.raises(UserError, match=r"step_000001.ckpt: the content of a file is damaged; rename the folder"):
        taking_steps(tmp_path / "resumed", resume=damaged)
    (damaged / ".metadata").write_bytes(b"\x00\x00")
    with pytest.raises(UserError, match=r"step_000001.ckpt: the content of a file is damaged"):
        taking_steps(tmp_path / "resumed", resume=damaged)


def failing(hook: str) -> L.Callback:
    """Raises in one of Lightning's hooks, in the second step."""

    def fail(self, trainer, pl_module, *arguments):
        if pl_module.steps_done == 1:
            raise UserError("a picture that cannot be read")

    return type("Failing", (L.Callback,), {hook: fail})()


def test_an_error_between_steps_saves_the_steps_before_it(taking_steps, tmp_path):
    taking_steps(tmp_path / "whole")
    with pytest.raises(UserError, match="cannot be read"):
        taking_steps(tmp_path / "failed", failing("on_train_batch_start"), every=5)
    first = contents(tmp_path / "failed" / "step_000001.ckpt")
    assert_equal(contents(tmp_path / "whole" / "step_000001.ckpt"), first)
    with pytest.raises(UserError, match="cannot be read"):
        taking_steps(tmp_path / "within", failing("on_before_optimizer_step"), every=5)
    assert not (tmp_path / "within").exists(), "the error hit a step at work: its weights are of no step"


def test_the_random_state_of_the_process_s_own_gpu_is_kept(monkeypatch):
    """As far as a machine without one can tell: which device is asked, and that it is given back what it gave."""
    states = {torch.device("cuda", 1): torch.tensor([7], dtype=torch.uint8)}
    monkeypatch.setattr(torch.cuda, "get_rng_state", states.__getitem__)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: states.__setitem__(device, state))
    saved = random_state(torch.device("cuda", 1))
    states.clear()
    set_random_state(saved, torch.device("cuda", 1))
    assert states == {torch.device("cuda", 1): torch.tensor([7], dtype=torch.uint8)}
    on_cpu = random_state(torch.device("cpu"))
    assert "cuda" not in on_cpu
    set_random_state(on_cpu, torch.device("cuda", 1))
    set_random_state(saved, torch.device("cpu"))


def saved_by(world: int, *arguments: object) -> list[tuple[int, str]]:
    """Let that many processes train and save: the exit code and the output of each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = str(Path(__file__).with_name("saved_by_two.py"))
    common = [str(world), str(port), *map(str, arguments)]
    started = [start(script, str(rank), *common) for rank in range(world)]
    return [process.wait() for process in started]


@pytest.fixture
def stored(make_groups, tmp_path) -> Path:
    """The file of what is trained on."""
    path = tmp_path / "groups.pickle"
    path.write_bytes(pickle.dumps(make_groups(4, 3)))
    return path


@pytest.mark.slow
def test_a_disk_that_is_full_for_one_process_is_so_for_all(random_model, stored, small_disk):
    """Room for one checkpoint with a critic, 44 MB, and not for two: whichever comes to the end of it."""
    folder = small_disk(66) / "checkpoints"
    for code, output in saved_by(2, random_model, stored, folder):
        assert code == 1 and f"UnwritableError: {folder}/step_000002.ckpt cannot be written: no space left" in output
    assert [path.name for path in folder.iterdir()] == ["step_000001.ckpt"]


@pytest.mark.slow
def test_processes_share_a_checkpoint_out_and_any_number_of_them_goes_on_from_it(random_model, stored, tmp_path):

    def run(world, name, resumed=()):
        for code, output in saved_by(world, random_model, stored, tmp_path / name, *resumed):
            assert code == 0, output[-4000:]
        return contents(tmp_path / name / "step_000002.ckpt")

    whole, half = run(2, "whole"), tmp_path / "whole" / "step_000001.ckpt"
    sizes = [sum(path.stat().st_size for path in half.glob(f"__{rank}_*")) for rank in range(2)]
    assert max(sizes) < 1.1 * min(sizes), "each process writes its share"
    first, second = (whole[f"process.{rank}"] for rank in range(2))
    assert first["python"] != second["python"] and not torch.equal(first["torch"], second["torch"])
    assert_equal(whole, run(2, "by two", [half]))
    by_one = run(1, "by one", [half])
    run(1, "alone")
    by_two = run(2, "by two after one", [tmp_path / "alone" / "step_000001.ckpt"])
    for name, tensor in whole.items():
        if name.startswith(("weights.", "moments.")):
            assert torch.allclose(tensor, by_one[name], atol=2e-4), name
            assert torch.allclose(tensor, by_two[name], atol=2e-4), name
