"""Two processes, an engine in each, are one trainer."""

from __future__ import annotations

import pickle
import shutil
import socket
from pathlib import Path

import pytest
import torch

from lmm_r1.models.loading import load_policy
from tests.running import start
from tests.training.running import SMALL, assert_equal, checkpoint, metrics, train, weights

pytestmark = pytest.mark.slow


RUN = ("stage=mgt", "init_from=null", "trainer.checkpoint_every=1", *SMALL)


@pytest.fixture(scope="module")
def by_two(tmp_path_factory) -> Path:
    """The folder of a run of two steps by two processes."""
    root = tmp_path_factory.mktemp("two")
    train(*RUN, "trainer.devices=2", f"output_root={root}")
    return (root / "mgt" / "latest").resolve()


def test_two_processes_train_like_one(by_two, tmp_path):
    """Equal weights on both ranks are the checkpoint's own check; here: equal to one process on the same problems."""
    train(*RUN, f"output_root={tmp_path}")
    one, two = tmp_path / "mgt" / "latest", by_two
    assert len(list((two / "rollouts").glob("*-rank-0001.parquet"))) == 2
    for left, right in zip(metrics(one), metrics(two), strict=True):
        assert left.keys() == right.keys()
        for name in left:
            assert float(left[name] or 0) == pytest.approx(float(right[name] or 0), rel=1e-3, abs=1e-5), name
    first, second = weights(one, 2), weights(two, 2)
    for name in first:
        assert torch.allclose(first[name], second[name], atol=2e-4), name


def test_two_processes_go_on_where_they_stopped(by_two, tmp_path):
    """Each writes the moments of its part of the weights; the checkpoint has them all."""
    folder = tmp_path / "mgt" / by_two.name
    shutil.copytree(by_two, folder)
    shutil.rmtree(folder / "checkpoints" / "step_000002.ckpt")
    (folder / "summary.json").unlink()
    train(f"resume={folder}", f"output_root={tmp_path}")
    first, second = checkpoint(by_two, 2), checkpoint(folder, 2)
    moments = [first[name] for name in first if name.startswith("moments.0.") and name.endswith(".exp_avg")]
    assert len(moments) > 10 and all(map(torch.any, moments))
    assert_equal(first, second)


ALGORITHMS = ("reinforce_baseline", "ppo", "gspo")
"""Whitened over all tokens, with a critic, with ratios of completions."""
SMALL_SUMS = 2**16
"""More than the bytes of a step's losses, lengths and measurements."""


def together(script: str, world: int, *arguments: str) -> None:
    """Run a script in that many processes, which are given their rank, their number and a port to meet at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = [start(script, str(rank), str(world), str(port), *arguments) for rank in range(world)]
    for code, output in [process.wait() for process in started]:
        assert code == 0, output[-4000:]


def updated(world: int, folder: Path, model: Path, rollouts: Path) -> dict:
    """What `two_updates.py` makes of the rollouts in that many processes."""
    out = folder / f"{world}.pt"
    script = str(Path(__file__).with_name("two_updates.py"))
    together(script, world, str(model), str(rollouts), str(out), *ALGORITHMS)
    return torch.load(out, weights_only=False)


@pytest.fixture(scope="module")
def by_one_and_two(random_model, make_groups, tmp_path_factory) -> tuple[dict, dict]:
    """Two RL steps: in the first, one of two processes has all the pictures; in the second there are none."""
    folder = tmp_path_factory.mktemp("updates")
    stored = folder / "rollouts.pickle"
    stored.write_bytes(pickle.dumps([make_groups(4, 3), make_groups(4, 3, seed=1, renderings=("text_only",))]))
    return tuple(updated(world, folder, random_model, stored) for world in (1, 2))


def test_algorithms_and_their_critic_do_not_depend_on_the_number_of_processes(by_one_and_two):
    """Nor does the vision tower, which keeps its weights where nobody has a picture, whatever its moments are."""
    one, two = by_one_and_two
    for name in ALGORITHMS:
        assert one[name]["metrics"] == pytest.approx(two[name]["metrics"], rel=1e-3, abs=1e-5), name
        first, second = one[name]["weights"], two[name]["weights"]
        assert first.keys() == second.keys()
        for key in first:
            # The mean, because Adam makes a whole step (1e-4) of a gradient that is nothing but rounding.
            assert (first[key] - second[key]).abs().mean() < 1e-7, (name, key)


def test_what_no_process_used_is_not_sent(by_one_and_two, random_model):
    """Of a step on text the vision tower's gradients, gigabytes of zeros in a model of 3B."""
    policy = load_policy(str(random_model), "float32")
    tower = sum(parameter.numel() for parameter in policy.model.visual.parameters())
    everything = sum(parameter.numel() for parameter in policy.parameters())
    epochs = 2
    with_pictures, text = by_one_and_two[1]["gspo"]["sums"]
    assert 0 <= with_pictures - epochs * 4 * everything < SMALL_SUMS
    assert 0 <= text - epochs * 4 * (everything - tower) < SMALL_SUMS
    assert by_one_and_two[0]["gspo"]["sums"] == [0, 0]
