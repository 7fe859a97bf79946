"""Every ablation takes real steps at tiny scale."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.running import REPOSITORY
from tests.training.running import SMALL, metrics, train

pytestmark = pytest.mark.slow

ABLATIONS = sorted(path.stem for path in (REPOSITORY / "conf" / "ablation").glob("*.yaml") if path.stem != "none")


@pytest.mark.parametrize("ablation", ABLATIONS)
def test_each_ablation_takes_two_steps(ablation, tmp_path):
    # transformers' engine starts faster; that vLLM works in every stage is shown elsewhere.
    start = [] if ablation in ("fre_multimodal", "no_format_reward") else ["init_from=null"]
    train(f"ablation={ablation}", *SMALL, *start, "rollout=transformers", f"output_root={tmp_path}")
    (folder,) = Path(tmp_path).glob("*/latest")
    rows = metrics(folder)
    assert [row["step"] for row in rows] == ["0", "1", "2"]
    rollouts = pd.concat(pd.read_parquet(path) for path in (folder / "rollouts").glob("*.parquet"))
    expected = {
        "direct_rl": lambda: (rollouts["rendering"] != "text_only").all(),
        "fre_multimodal": lambda: (rollouts["rendering"] != "text_only").all(),
        "no_format_reward": lambda: (rollouts["reward"] == rollouts["reward/accuracy"]).all(),
        "mgt_domain_shape": lambda: (rollouts["family"] == "shape").all(),
        "mgt_domain_chain": lambda: (rollouts["family"] == "chain").all(),
    }
    assert expected[ablation]()
