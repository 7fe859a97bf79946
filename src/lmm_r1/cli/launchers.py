"""Launchers that start a script several times, as srun does: refused, because a run starts its own processes."""

from __future__ import annotations

from collections.abc import Mapping

from lmm_r1.errors import UserError

STARTED_BY_US = "LMM_R1_PARENT"
"""Set by the first process of a run for those that it starts."""
COPIES = {
    "SLURM_STEP_NUM_TASKS": "srun",
    "OMPI_COMM_WORLD_SIZE": "mpirun",
    "PMI_SIZE": "mpirun",
    "JSM_NAMESPACE_SIZE": "jsrun",
    "WORLD_SIZE": "a launcher (WORLD_SIZE)",
}
"""Where each launcher says how many copies of the script it starts."""
NODES = ("SLURM_STEP_NUM_NODES", "SLURM_JOB_NUM_NODES", "SLURM_NNODES")


def check_launcher(script: str, environment: Mapping[str, str]) -> None:
    """Look at the environment variables of a process that no run of ours has started.

    Raises:
        UserError: it is one of several copies, which would each be a run of its own, or has several nodes, of which it
            would use one.
    """
    if STARTED_BY_US in environment:
        return
    once = f"start {script} once: trainer.devices=<n> starts a process for each device of one node"
    if "TORCHELASTIC_RUN_ID" in environment:
        raise UserError(f"torchrun started {script}; {once}")
    for variable, launcher in COPIES.items():
        copies = _count(environment, variable)
        if copies > 1:
            hint = " (#SBATCH --ntasks=1)" if launcher == "srun" else ""
            raise UserError(f"{launcher} started {copies} copies of {script}; {once}{hint}")
    nodes = max(_count(environment, variable) for variable in NODES)
    if nodes > 1:
        raise UserError(f"SLURM has given this job {nodes} nodes and a run uses one; ask for one (#SBATCH --nodes=1)")


def _count(environment: Mapping[str, str], variable: str) -> int:
    value = environment.get(variable, "")
    return int(value) if value.isdecimal() else 1
