"""A run starts its own processes; a scheduler's job may hold one, and its launcher may not start several."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from lmm_r1.cli.launchers import STARTED_BY_US, check_launcher
from lmm_r1.errors import UserError
from lmm_r1.training.process import lightning_trainer
from tests.running import run

ONE_TASK = {
    "SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "fre", "SLURM_JOB_NUM_NODES": "1", "SLURM_NNODES": "1", "SLURM_NTASKS": "1",
    "SLURM_NPROCS": "1", "SLURM_NODEID": "0", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODELIST": "node1",
    "SLURM_NTASKS_PER_NODE": "1",
}  # fmt: skip
"""What SLURM tells a batch script of one task, and what `srun` tells a task of it with the variables of its step."""
STEP = {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "1", "SLURM_STEP_NUM_NODES": "1", "SLURM_STEPID": "0"}


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        (ONE_TASK | STEP | {"SLURM_STEP_NUM_TASKS": "8", "SLURM_NTASKS": "8"}, "srun started 8 copies of train.py"),
        (ONE_TASK | STEP | {"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "1", "SLURM_LOCALID": "1"}, "srun started 2"),
        (ONE_TASK | {"SLURM_JOB_NUM_NODES": "2"}, "2 nodes"),
        ({"TORCHELASTIC_RUN_ID": "none", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}, "torchrun"),
        ({"TORCHELASTIC_RUN_ID": "none", "LOCAL_RANK": "1", "WORLD_SIZE": "2"}, "torchrun"),
        ({"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3"}, "mpirun started 4"),
        ({"PMI_SIZE": "4", "PMI_RANK": "0"}, "mpirun started 4"),
        ({"JSM_NAMESPACE_SIZE": "6"}, "jsrun started 6"),
        ({"WORLD_SIZE": "16", "RANK": "3", "MASTER_ADDR": "head"}, "WORLD_SIZE"),
    ],
)
def test_several_copies_and_several_nodes_are_refused_with_what_to_do_instead(environment, named):
    with pytest.raises(UserError, match=named) as caught:
        check_launcher("train.py", environment)
    assert "trainer.devices=" in str(caught.value) or "--nodes=1" in str(caught.value)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        ONE_TASK,
        ONE_TASK | STEP,
        # A batch script that could start eight tasks and starts one process.
        ONE_TASK | {"SLURM_NTASKS": "8"},
        {"WORLD_SIZE": "1", "RANK": "0", "MASTER_ADDR": "pod"},
        {STARTED_BY_US: "17", "WORLD_SIZE": "8", "LOCAL_RANK": "3"},
    ],
)
def test_one_process_on_one_node_may_start(environment):
    check_launcher("train.py", environment)


@pytest.mark.parametrize("devices", [1, 2])
def test_lightning_does_not_take_the_scheduler_for_the_launcher(monkeypatch, devices):
    for name, value in (ONE_TASK | STEP).items():
        monkeypatch.setenv(name, value)
    settings = SimpleNamespace(accelerator="cpu", devices=devices, precision="32-true")
    trainer = lightning_trainer(settings, Path(), [])
    environment = trainer._accelerator_connector.cluster_environment
    assert type(environment).__name__ == "LightningEnvironment" and not environment.creates_processes_externally


@pytest.mark.slow
@pytest.mark.parametrize("script", ["train.py", "eval.py"])
def test_no_copy_that_srun_starts_makes_a_run(tmp_path, script):
    for task in ("0", "1"):
        environment = ONE_TASK | STEP | {"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": task, "SLURM_LOCALID": task}
        printed = run(script, f"output_root={tmp_path}", environment=environment, expect=2)
        assert printed.startswith(f"error: srun started 2 copies of {script}") and printed.count("\n") == 1
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_a_batch_job_of_one_task_trains_with_two_processes(tmp_path):
    run("train.py", "debug=tiny", "trainer=ddp_cpu", f"output_root={tmp_path}", environment=ONE_TASK)
    assert (tmp_path / "fre" / "latest" / "summary.json").is_file()
