"""Stored rollouts in place of an engine: train on a step again without sampling it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lmm_r1.errors import UserError
from lmm_r1.rollout.engine import check_generate_arguments
from lmm_r1.rollout.previews import pixel_hash
from lmm_r1.rollout.store import RolloutStore
from lmm_r1.types import Group, Problem, Sampling

if TYPE_CHECKING:
    from torch import Tensor


class ReplayEngine:
    """Answers with what a run stored of the step that was loaded last, in training or in validation.

    Nothing is sampled: weights, seeds and temperature are without effect, and completions carry the weight version,
    the token ids and the log-probabilities that they were stored with. Pictures are those of the problems that are
    asked, and must be the stored run's to the pixel.

    Args:
        folder: a run's folder, with `rollouts/` and `validation/` in it.
        model_path: what every engine is built with; this one has no use for it.
    """

    def __init__(self, folder: Path, model_path: str | None = None) -> None:
        self._folder = Path(folder)
        self._stores = [RolloutStore(self._folder / kind) for kind in ("rollouts", "validation")]
        if not self._stores[0].steps():
            raise UserError(f"rollout.engine.folder={folder} has no rollouts/ with stored steps; give a run's folder")
        self._step = self._stores[0].steps()[0]

    def load_weights(self, state_dict: Mapping[str, Tensor], version: int) -> None:
        """Replay step `version` from now on; the weights themselves are not looked at."""
        self._step = version

    def generate(
        self,
        problems: Sequence[Problem],
        sampling: Sampling,
        seeds: Sequence[int],
        complete: Callable[[Group], None] | None = None,
    ) -> list[Group]:
        """The stored groups of these problems, matched by id, cut to `sampling.samples` completions, without scores.

        Raises `UserError` where the step, a problem, or enough completions of it are not stored, and where a problem
        was stored with other pictures.
        """
        check_generate_arguments(problems, sampling, seeds)
        stored: dict[str, list[Group]] = {}
        hashes: dict[str, tuple[str, ...]] = {}
        for store in self._stores:
            for _, stored_groups in store.read_steps([self._step], pictures=False):
                hashes |= store.picture_hashes(self._step)
                for group in stored_groups:
                    stored.setdefault(group.problem.id, []).append(group)
        groups = [self._answer(problem, sampling, stored.get(problem.id, [])) for problem in problems]
        for problem in problems:
            if hashes[problem.id] != tuple(pixel_hash(image) for image in problem.images):
                raise UserError(
                    f"step {self._step} of {self._folder}: problem {problem.id} has other pictures now; "
                    "replay with the data set, and with the version of Pillow, of the stored run"
                )
        for group in groups if complete is not None else ():
            complete(group)
        return groups

    def close(self) -> None:
        """See `RolloutEngine`. Nothing is held."""

    def _answer(self, problem: Problem, sampling: Sampling, stored: list[Group]) -> Group:
        if not stored:
            raise UserError(
                f"step {self._step} of {self._folder} has no completions of problem {problem.id}; "
                "replay with the data set, order and batch size of the stored run"
            )
        group = stored.pop(0)  # a problem drawn twice in a step was answered twice
        if len(group.completions) < sampling.samples:
            raise UserError(
                f"step {self._step} of {self._folder} has {len(group.completions)} completions of problem "
                f"{problem.id}, not {sampling.samples}; lower rollout.samples"
            )
        return Group(problem, group.prompt_ids, group.completions[: sampling.samples])
