"""Several processes with a copy of the model each."""

from __future__ import annotations

import torch
from lightning.pytorch.strategies import DDPStrategy


class Replicas(DDPStrategy):
    """Lightning's DDP without the wrapper that gives it its name.

    `training.distributed.sum_gradients` adds gradients up, once in an optimiser step. The wrapper would do it again,
    and reserves memory for a second copy of all gradients: 15 GB for a model of 3B.
    """

    def configure_ddp(self) -> None:
        """In place of wrapping: begin with the first process's weights, as the wrapper does."""
        with torch.no_grad():
            for tensor in self.lightning_module.state_dict().values():
                torch.distributed.broadcast(tensor, src=0)
