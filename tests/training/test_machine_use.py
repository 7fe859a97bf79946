"""What a run says of its machine adds up."""

from __future__ import annotations

import pytest

from lmm_r1.training.machine_use import MachineUse, peak_flops, totals
from lmm_r1.training.settings import TrainerSettings

ROW = {
    "completion/tokens": 600.0,
    "prompt/tokens": 100.0,
    "update/flops": 8e12,
    "update/tokens": 700.0,
    "time/rollout": 3.0,
    "time/update": 1.0,
}


def test_a_step_is_divided_among_its_phases():
    use = MachineUse(devices=2, peak_flops=16e12).of_step(ROW, peak_memory=5e9)
    assert use == {
        "machine/device_seconds": 8.0,
        "machine/peak_memory_gb": 5.0,
        "machine/share/rollout": 0.75,
        "machine/share/update": 0.25,
        "rollout/tokens_per_second": 200.0,
        "update/tokens_per_second": 700.0,
        "machine/mfu": 0.25,
    }


def test_what_is_not_known_is_left_out():
    use = MachineUse(devices=1, peak_flops=None).of_step({"time/start": 2.0}, peak_memory=1e9)
    assert use == {"machine/device_seconds": 2.0, "machine/peak_memory_gb": 1.0, "machine/share/start": 1.0}


def test_totals_weigh_steps_by_their_time():
    machine = MachineUse(devices=1, peak_flops=16e12)
    slow = ROW | {"time/rollout": 5.0, "time/update": 3.0}
    rows = [
        {name: repr(value) for name, value in (row | machine.of_step(row, peak_memory=memory)).items()}
        for row, memory in ((ROW, 1e9), (slow, 2e9))
    ]
    first = {"machine/peak_memory_gb": "0.5", "machine/device_seconds": "4.0", "time/start": "4.0", "update/flops": ""}
    found = totals([first, *rows])
    assert found["device_seconds"] == 16.0 and found["peak_memory_gb"] == 2.0
    assert found["share"] == pytest.approx({"start": 0.25, "rollout": 0.5, "update": 0.25})
    assert found["completion_tokens"] == 1200 and found["update_flops"] == 16e12
    assert found["rollout_tokens_per_second"] == 150 and found["update_tokens_per_second"] == 350
    # 16 T operations in 4 s at 16 T a second.
    assert found["mfu"] == pytest.approx(0.25)


def test_a_cpu_is_measured():
    settings = TrainerSettings("cpu", 1, "auto", "32-true", 1, 1, 0, 1, 1, 1, None)
    assert 1e8 < peak_flops(settings) < 1e14
