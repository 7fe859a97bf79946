"""A clean way out when somebody asks to stop."""

from __future__ import annotations

import logging
import signal
from types import FrameType

import lightning as L
import torch

from lmm_r1.training.distributed import sum_over_processes

log = logging.getLogger(__name__)


class Interrupts(L.Callback):
    """Notes SIGTERM and Ctrl-C instead of dying of them, so that the step at hand can finish and be saved.

    A second signal stops at once, and the last checkpoint stands. First among the callbacks: validation before the
    first step shall already be under its watch.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        # Only now, in place of Lightning's own handler, which is there just before: that one talks to the other
        # processes from within the handler, in the middle of whatever they are exchanging, and hangs them all.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = signal.Signals(number)
        log.warning("%s: finishing this step, then saving; once more stops at once", self.received.name)

    def asked_to_stop(self, trainer: L.Trainer) -> bool:
        """Whether any process was, so that all stop after the same step."""
        asked = torch.tensor(float(self.received is not None), device=trainer.strategy.root_device)
        if not sum_over_processes(trainer, asked):
            return False
        self.received = self.received or signal.SIGTERM
        return True
