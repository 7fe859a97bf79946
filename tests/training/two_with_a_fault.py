"""One of two processes that take three steps together, of which the second spoils the first and the last gradient.

Usage: python two_with_a_fault.py RANK WORLD PORT MODEL_FOLDER GROUPS FOLDER: each saves what it saw as FOLDER/RANK.pt.
"""

from __future__ import annotations

import math
import os
import pickle
import sys
from pathlib import Path


def main(rank: int, world: int, port: str, model: str, stored: str, folder: str) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(world)}
    os.environ |= {"LOCAL_RANK": str(rank), "NODE_RANK": "0"}
    # Only now: the environment decides what Lightning thinks of its processes.
    import lightning as L
    import torch

    from lmm_r1.models.loading import load_config, load_policy, load_processor
    from lmm_r1.models.prompts import banned_token_ids
    from lmm_r1.training.replicas import Replicas
    from tests.training.updating import experience_of, loader_of, module_of, settings, spoil_gradient, trainer_of

    class Watch(L.Callback):
        def __init__(self) -> None:
            self.seen = {"weights": [], "in_a_row": [], "metrics": [], "causes": [], "saved": False}

        def on_train_start(self, trainer, module) -> None:
            self._keep(module)

        def on_train_batch_end(self, trainer, module, *_) -> None:
            self._keep(module)
            self.seen["in_a_row"].append(module.skipped["policy"].in_a_row)
            self.seen["metrics"].append(module.metrics)
            if module.skipped["policy"].in_a_row:
                self.seen["causes"].append(module.skipped["policy"].cause)
            path = Path(folder, f"{module.policy.dtype}-{module.steps_done}.ckpt")
            trainer.save_checkpoint(path)
            self.seen["saved"] = trainer.is_global_zero and path.is_file()

        def _keep(self, module) -> None:
            self.seen["weights"].append({name: tensor.clone() for name, tensor in module.state_dict().items()})

    torch.set_num_threads(1)
    processor = load_processor(model, None, None)
    groups = pickle.loads(Path(stored).read_bytes())[rank::world]
    results = {}
    for dtype in ("float32", "bfloat16"):
        policy = load_policy(model, dtype)
        module, watch = (
            module_of(None, settings(), banned_token_ids(processor, load_config(model)), policy=policy),
            Watch(),
        )
        if rank == 1:
            spoil_gradient(policy, math.nan, {0, 2})
        experience = experience_of(groups, processor)
        trainer = trainer_of(watch, use_distributed_sampler=False, devices=world, strategy=Replicas())
        trainer.fit(module, loader_of(experience, experience, experience))
        results[dtype] = watch.seen
    torch.save(results, Path(folder, f"{rank}.pt"))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
