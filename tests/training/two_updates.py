"""One of the processes that take the same update together, as a run forms them.

Usage: python two_updates.py RANK WORLD PORT MODEL_FOLDER ROLLOUTS OUT ALGORITHM…: takes an RL step on each of the
pickled rollouts with each algorithm, on this process's share of the groups; the first process saves what came out.
"""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path


def main(rank: int, world: int, port: str, model: str, stored: str, out: str, *names: str) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(world)}
    os.environ |= {"LOCAL_RANK": str(rank), "NODE_RANK": "0"}
    # Only now: the environment decides what Lightning thinks of its processes.
    import torch

    from lmm_r1.models.loading import load_config, load_processor
    from lmm_r1.models.prompts import banned_token_ids
    from lmm_r1.training.checkpoints import weights_checksum
    from lmm_r1.training.collate import collate
    from lmm_r1.training.distributed import gather_objects
    from lmm_r1.training.group_advantages import group_advantages
    from lmm_r1.training.replicas import Replicas
    from tests.training.updating import ONE_PROCESS, WEIGHTS, Sums, configured, loader_of, module_of, trainer_of

    torch.set_num_threads(1)
    processor = load_processor(model, None, None)
    rollouts = pickle.loads(Path(stored).read_bytes())
    results = {}
    for name in names:
        algorithm = configured(name, mini_batches=1, inner_epochs=2, micro_batch_tokens=200, learning_rate=1e-4)
        # What the rollout callback gathers: every advantage is that of the whole batch.
        weights = WEIGHTS if algorithm.advantage_of == "terms" else None
        experiences = []
        for groups in rollouts:
            advantages = group_advantages(ONE_PROCESS, groups, algorithm.advantage, weights)
            experiences.append(collate(groups[rank::world], advantages[rank::world], processor))
        module = module_of(model, algorithm, banned_token_ids(processor, load_config(model)))
        with torch.no_grad():
            # Whatever the others begin with, the first's weights are what counts.
            next(module.policy.parameters()).add_(float(rank))
        strategy = {"devices": world, "strategy": Replicas()} if world > 1 else {"devices": 1}
        sums = Sums()
        trainer = trainer_of(sums, use_distributed_sampler=False, **strategy)
        trainer.fit(module, loader_of(*experiences))
        assert len(set(gather_objects(trainer, weights_checksum(module)))) == 1
        (whole, *_), parameters = trainer.optimizers, list(module.policy.parameters())
        moments = getattr(whole, "optim", whole).state
        assert (len(moments) == len(parameters)) == (world == 1), "several processes share the moments out"
        results[name] = {"weights": module.state_dict(), "metrics": module.metrics, "sums": sums.steps}
    if rank == 0:
        torch.save(results, out)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
