"""Terms chosen on the command line reach the policy and the metrics."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.training.running import SMALL, metrics, train

pytestmark = pytest.mark.slow


def test_two_terms_are_paid_by_their_weights_and_logged_by_source_and_rendering(tmp_path: Path):
    terms = ("shaping=[group_length,repetition]", "reward.weights.group_length=0.25")
    train("stage=fre", *SMALL, *terms, "rollout=transformers", f"output_root={tmp_path}")
    folder = tmp_path / "fre" / "latest"
    for step, row in enumerate(metrics(folder)[1:]):
        rollouts = pd.read_parquet(folder / "rollouts" / f"step-{step:06d}-rank-0000.parquet")
        paid = rollouts["reward/accuracy"] + 0.5 * rollouts["reward/format"]
        paid += 0.25 * rollouts["reward/group_length"] + rollouts["reward/repetition"]
        assert rollouts["reward"].tolist() == pytest.approx(paid.tolist())
        for term in ("mean", "group_length", "repetition"):
            mean = rollouts["reward" if term == "mean" else f"reward/{term}"].mean()
            for column in (f"reward/{term}", f"reward/{term}/synthetic", f"reward/{term}/text_only"):
                assert float(row[column]) == pytest.approx(mean), column
