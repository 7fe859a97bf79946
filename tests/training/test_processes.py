"""Two processes, an engine in each, are one trainer."""

from __future__ import annotations

import pytest
import torch

from tests.training.running import SMALL, checkpoint, metrics, train

pytestmark = pytest.mark.slow


def test_two_processes_train_like_one(tmp_path):
    """Equal weights on both ranks are the checkpoint's own check; here: equal to one process on the same problems."""
    run = ("stage=mgt", "init_from=null", *SMALL)
    train(*run, f"output_root={tmp_path / 'one'}")
    train(*run, "trainer.devices=2", "trainer.strategy=ddp", f"output_root={tmp_path / 'two'}")
    one, two = (tmp_path / name / "mgt" / "latest" for name in ("one", "two"))
    assert len(list((two / "rollouts").glob("*-rank-0001.parquet"))) == 2
    for left, right in zip(metrics(one), metrics(two), strict=True):
        assert left.keys() == right.keys()
        for name in left:
            assert float(left[name] or 0) == pytest.approx(float(right[name] or 0), rel=1e-3, abs=1e-5), name
    first, second = checkpoint(one, 2)["state_dict"], checkpoint(two, 2)["state_dict"]
    for name in first:
        assert torch.allclose(first[name], second[name], atol=2e-4), name
