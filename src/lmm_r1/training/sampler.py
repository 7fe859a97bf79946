"""The policy as something that answers problems: engine and reward behind one door."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from lmm_r1.models.loading import merged_state_dict
from lmm_r1.rewards.compose import RewardSum
from lmm_r1.rollout.engine import RolloutEngine
from lmm_r1.training.phases import Phases
from lmm_r1.training.scoring import BackgroundScoring
from lmm_r1.types import Group, Problem, Sampling


class PolicySampler:
    """Brings the engine's weights up to date, samples, and scores. Used by rollouts and by validation alike."""

    def __init__(self, build_engine: Callable[[], RolloutEngine], reward: RewardSum, phases: Phases) -> None:
        """Args: `build_engine` is called at the first sync, when Lightning has formed the process group that the
        engine must find in place."""
        self._build_engine, self._engine = build_engine, None
        self.reward, self.phases = reward, phases

    def sync(self, policy: nn.Module, version: int) -> None:
        """Load the policy's weights into the engine; every completion from now on carries `version`."""
        if self._engine is None:
            with self.phases("start"):
                self._engine = self._build_engine()
        with self.phases("sync"):
            self._engine.load_weights(merged_state_dict(policy), version)

    def sample(self, problems: Sequence[Problem], sampling: Sampling, seeds: Sequence[int]) -> list[Group]:
        """Scored groups, one for each problem. The phase `reward` is what scoring takes beyond the sampling."""
        scoring = BackgroundScoring(self.reward)
        try:
            with self.phases("rollout"):
                groups = self._engine.generate(problems, sampling, seeds, scoring.add)
        finally:
            with self.phases("reward"):
                scoring.finish()
        return groups

    def close(self) -> None:
        """Give back the engine and the verifier's processes."""
        self.reward.close()
        if self._engine is not None:
            self._engine.close()
