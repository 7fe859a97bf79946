"""What every rollout engine promises: problems and seeds in, groups of completions out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from lmm_r1.types import Group, Problem, Sampling

if TYPE_CHECKING:
    from torch import Tensor

SEED_SPACING = 4096
"""Seeds are this far apart, because completion i of a problem is drawn with its seed + i."""
TEMPERATURES = (0.01, 2.0)
"""The least and the greatest, besides 0: vLLM takes 0.01 for less, without an error, and refuses more."""


class RolloutEngine(Protocol):
    """Samples completions with whichever weights it was given last.

    What all engines keep:
    - The answer depends on the weights and the arguments of `generate` alone, not on earlier calls.
    - The random state of Python, NumPy and torch is after every call what it was before.
    - What may not be in a completion (`models.prompts.banned_token_ids`) is never sampled.
    """

    def load_weights(self, state_dict: Mapping[str, Tensor], version: int) -> None:
        """Sample with these weights from now on.

        Args:
            state_dict: Hugging Face runtime names with the tied head, as `models.loading.merged_state_dict` gives it.
            version: the RL step whose policy this is; every later completion carries it.
        """
        ...

    def generate(
        self,
        problems: Sequence[Problem],
        sampling: Sampling,
        seeds: Sequence[int],
        complete: Callable[[Group], None] | None = None,
    ) -> list[Group]:
        """One group of `sampling.samples` completions for each problem, in the order of `problems`, without scores.

        Args:
            problems: P problems.
            sampling: how many completions, how long and how hot; temperature 0 takes the likeliest token.
            seeds: P seeds; completion i of a problem is drawn with its seed + i.
            complete: called with each group as soon as it has all its completions, in whatever order, while others
                are still sampled; what it raises ends the call.

        Raises `UserError` where a prompt and its completion would not fit the model's context.
        """
        ...

    def close(self) -> None:
        """Give back memory and processes. The engine cannot be used afterwards; closing twice is harmless."""
        ...


def sampling_seed(run_seed: int, step: int, index: int) -> int:
    """The seed of the problem at `index` of RL step `step`: in [0, 2^62), a multiple of `SEED_SPACING`.

    A hash, so that neither steps nor runs with neighbouring seeds share their random numbers, and no counter has to
    be saved for a resumed run to draw what the uninterrupted one would have drawn.
    """
    digest = hashlib.blake2b(f"{run_seed}/{step}/{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % (2**62 // SEED_SPACING) * SEED_SPACING


def check_generate_arguments(problems: Sequence[Problem], sampling: Sampling, seeds: Sequence[int]) -> None:
    """Raise `ValueError` for arguments that no engine can answer."""
    if len(problems) != len(seeds):
        raise ValueError(f"{len(problems)} problems but {len(seeds)} seeds: give one seed for each problem")
    if not 1 <= sampling.samples <= SEED_SPACING:
        raise ValueError(f"samples must lie in [1, {SEED_SPACING}], got {sampling.samples}")
    least, most = TEMPERATURES
    if sampling.temperature != 0 and not least <= sampling.temperature <= most:
        raise ValueError(f"the temperature must be 0 or lie in [{least}, {most}], got {sampling.temperature}")
    if sampling.temperature == 0 and sampling.samples > 1:
        raise ValueError(f"greedy decoding gives one completion, not {sampling.samples}: they would all be the same")
