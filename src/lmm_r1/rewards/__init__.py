"""Text and problem to score: where the answer is, whether it is right, whether the format holds, what it earns.

`verify` is the one door to a verdict. The parts: `extract` finds the answer, `answers` judges it (one module for each
kind of answer), `pool` does the same in worker processes that can be killed, `format` checks the tags, `shaping`
has the terms that can be added, `compose` adds it all up to a `Score`, `audit` tells which golds are fit to train on.
Nothing here imports torch except `compose`, so that the workers stay small.
"""

from lmm_r1.rewards.verify import Verdict, verify

__all__ = ["Verdict", "verify"]
