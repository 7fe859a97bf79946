"""Training and evaluation mode of a model: where dropout acts and where it does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def in_evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Without dropout, and back to each part's own mode afterwards.

    The dropout of an adapter would make a pass without gradient a random one, and old log-probabilities those of
    another policy than the one that sampled.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
