"""What a run says of its machine adds up."""

from __future__ import annotations

import pytest

from lmm_r1.models.architecture import architecture_of
from lmm_r1.models.devices import Device
from lmm_r1.training.machine_use import MachineUse, StepCosts, totals, use_of_run
from lmm_r1.training.plan_time import ROOFLINE, StepTimes
from lmm_r1.training.settings import TrainerSettings
from lmm_r1.training.step_costs import passes_of
from tests.training.updating import configured, experience_of, loader_of, model_settings, module_of, trainer_of

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


def test_a_phase_s_share_of_the_roofline_is_the_least_time_in_its_time():
    row = ROW | {"machine/least/rollout": 0.75, "machine/least/update": 0.6}
    use = MachineUse(devices=1, peak_flops=None).of_step(row, peak_memory=1e9)
    assert (use["machine/roofline/rollout"], use["machine/roofline/update"]) == (0.25, 0.6)
    slow = row | {"time/update": 3.0, "machine/roofline/rollout": 0.25, "machine/roofline/update": 0.2}
    written = [
        {name: repr(value) for name, value in each.items()}
        for each in (row | use, slow | {"machine/device_seconds": 6.0, "machine/peak_memory_gb": 1.0})
    ]
    # 1.2 of 4 seconds.
    assert totals(written)["roofline"] == pytest.approx({"rollout": 0.25, "update": 0.3})


def test_a_step_s_least_time_is_that_of_its_operations_at_full_speed(random_model, make_groups, processor, banned):
    """A real update on a device of round numbers, whose memory is no limit."""
    algorithm, model = configured("grpo"), model_settings(random_model)
    device = Device("round", "cpu", {"float32": 1e9}, bandwidth=1e30, memory=1e9)
    architecture = architecture_of(model.path)
    roofline = StepTimes(device, architecture, model, algorithm, {}, "float32", ROOFLINE)
    costs = StepCosts(architecture, passes_of(model, algorithm), roofline)
    experience = experience_of(make_groups(4, 8), processor, algorithm)
    trainer_of(costs).fit(module_of(random_model, algorithm, banned), loader_of(experience))
    assert set(costs.metrics) == {"update/flops", "update/tokens", "machine/least/update"}
    assert costs.metrics["machine/least/update"] == pytest.approx(costs.metrics["update/flops"] / 1e9)


def test_a_cpu_is_measured():
    settings = TrainerSettings("cpu", 1, "32-true", 1, 1, 0, 1, 1, 1, 1, None)
    assert 1e8 < use_of_run(settings, {}).peak_flops < 1e14
