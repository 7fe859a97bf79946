"""One of several processes that train and save together, as a run forms them.

Usage: python saved_by_two.py RANK WORLD PORT MODEL_FOLDER GROUPS FOLDER [RESUMED]: two steps, each saved in FOLDER; or
the second of them alone, after the checkpoint RESUMED.
"""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path


def main(rank: int, world: int, port: str, model: str, stored: str, folder: str, resumed: str | None = None) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(world)}
    os.environ |= {"LOCAL_RANK": str(rank), "NODE_RANK": "0"}
    # Only now: the environment decides what Lightning thinks of its processes.
    import random

    import lightning as L
    import numpy as np
    import torch

    from lmm_r1.models.loading import load_config, load_processor
    from lmm_r1.models.prompts import banned_token_ids
    from lmm_r1.training.checkpoints import Checkpoints
    from lmm_r1.training.collate import collate
    from lmm_r1.training.group_advantages import group_advantages
    from lmm_r1.training.interrupts import Interrupts
    from lmm_r1.training.replicas import Replicas
    from tests.training.updating import ONE_PROCESS, configured, loader_of, module_of, trainer_of

    class Drawing(L.Callback):
        """Uses up as many random numbers in a step as the process has a number."""

        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            for _ in range(rank + 1):
                torch.rand(()), np.random.rand(), random.random()

    torch.set_num_threads(1)
    L.seed_everything(0, verbose=False)
    processor = load_processor(model, None, None)
    groups = pickle.loads(Path(stored).read_bytes())
    algorithm = configured("ppo", mini_batches=1, inner_epochs=1, micro_batch_tokens=200, learning_rate=1e-4)
    advantages = group_advantages(ONE_PROCESS, groups, algorithm.advantage, None)
    experience = collate(groups[rank::world], advantages[rank::world], processor)
    module = module_of(model, algorithm, banned_token_ids(processor, load_config(model)))
    resume = Path(resumed) if resumed else None
    saver = Checkpoints(Path(folder), Interrupts(), every=1, keep=9, steps=2, resume=resume)
    strategy = {"devices": world, "strategy": Replicas()} if world > 1 else {"devices": 1}
    trainer = trainer_of(Drawing(), saver, use_distributed_sampler=False, **strategy)
    trainer.fit(module, loader_of(*[experience] * (1 if resume else 2)))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
