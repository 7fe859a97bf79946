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
    from lmm_r1.models.value_model import ValueModel
    from lmm_r1.training.checkpoint_folder import checkpoint_path
    from lmm_r1.training.checkpoints import Checkpoints
    from lmm_r1.training.interrupts import Interrupts
    from lmm_r1.training.replicas import Replicas
    from tests.training.updating import configured, experience_of, loader_of, module_of, spoil_gradient, trainer_of

    class Watch(L.Callback):
        """What each step left; the state after the first, with no moments yet, is saved too."""

        def __init__(self, saver: Checkpoints) -> None:
            self.saver = saver
            self.seen = {"weights": [], "in_a_row": [], "metrics": [], "causes": []}

        def on_train_start(self, trainer, module) -> None:
            self._keep(module)

        def on_train_batch_end(self, trainer, module, *_) -> None:
            self._keep(module)
            self.seen["in_a_row"].append([skipped.in_a_row for skipped in module.skipped.values()])
            self.seen["causes"].append(module.skipped["policy"].cause)
            self.seen["metrics"].append(module.metrics)
            if module.steps_done == 1:
                self.saver.save(trainer, module)

        def _keep(self, module) -> None:
            self.seen["weights"].append({name: tensor.clone() for name, tensor in module.state_dict().items()})

    torch.set_num_threads(1)
    processor = load_processor(model, None, None)
    banned = banned_token_ids(processor, load_config(model))
    algorithm = configured("ppo", micro_batch_tokens=10_000, learning_rate=1e-3)
    experience = experience_of(pickle.loads(Path(stored).read_bytes())[rank::world], processor, algorithm)

    def steps(dtype: str, spoilt: set[int], first: int) -> dict:
        policy, critic = load_policy(model, dtype), ValueModel(load_policy(model, dtype), trains_model=True)
        module = module_of(None, algorithm, banned, policy=policy, reference=load_policy(model, dtype), critic=critic)
        if rank == 1:
            spoil_gradient(policy, math.nan, spoilt)
            spoil_gradient(critic.trunk, math.nan, spoilt)
        saved = Path(folder, dtype)
        resume = checkpoint_path(saved, first) if first else None
        saver = Checkpoints(saved, Interrupts(), every=1, keep=9, steps=3, resume=resume)
        watch = Watch(saver)
        trainer = trainer_of(watch, saver, use_distributed_sampler=False, devices=world, strategy=Replicas())
        trainer.fit(module, loader_of(*[experience] * (3 - first)))
        return watch.seen

    results = {dtype: (steps(dtype, {0, 2}, 0), steps(dtype, {1}, 1)) for dtype in ("float32", "bfloat16")}
    torch.save(results, Path(folder, f"{rank}.pt"))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
