"""`train.py`, killed with SIGKILL at a chosen moment: `python killed_run.py <moment> <step> <overrides …>`.

Moments: `generation` (the engine is sampling), `update` (between two optimiser steps' gradients), `checkpoint` (its
files are written, and it has no name yet). The kill is real and comes from inside, so that it hits the moment and not
its neighbourhood.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent


def die(after: float = 0.0) -> None:
    """SIGKILL to ourselves, now or while the caller goes on working."""
    if after == 0.0:
        os.kill(os.getpid(), signal.SIGKILL)
    threading.Timer(after, die).start()


def arm(moment: str, step: int) -> None:
    """Replace one method by itself with a death in it."""
    import lmm_r1.training.checkpoints as checkpoints
    import lmm_r1.training.module as module
    from lmm_r1.rollout.vllm_engine import VLLMEngine

    if moment == "generation":
        generate = VLLMEngine.generate

        def killed_generate(self, problems, sampling, seeds, complete=None):
            if self._version == step and sampling.samples > 1:
                die(after=0.03)
            return generate(self, problems, sampling, seeds, complete)

        VLLMEngine.generate = killed_generate
    elif moment == "update":
        token_losses = module.GRPOModule._token_losses

        def killed_token_losses(self, *arguments):
            if self.steps_done == step:
                die()
            return token_losses(self, *arguments)

        module.GRPOModule._token_losses = killed_token_losses
    else:

        def killed_manifest(folder):
            if folder.name.startswith(f"step_{step:06d}"):
                die()
            return write_manifest(folder)

        write_manifest = checkpoints.write_manifest
        checkpoints.write_manifest = killed_manifest


if __name__ == "__main__":
    moment, step, *overrides = sys.argv[1:]
    sys.path.insert(0, str(REPOSITORY / "src"))
    arm(moment, int(step))
    sys.argv = [str(REPOSITORY / "train.py"), *overrides]
    runpy.run_path(sys.argv[0], run_name="__main__")
