"""Every algorithm of `conf/algorithm` learns: the whole loop, with vLLM, from the shipped model, for thirty steps."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import mean

import lightning as L
import pytest
import torch
from hydra.utils import instantiate

from lmm_r1.cli.composition import compose_config, groups, plain
from lmm_r1.cli.paths import register_resolvers
from lmm_r1.data.synthetic import SyntheticDataset
from lmm_r1.models.prompts import banned_token_ids
from lmm_r1.rewards.accuracy import AnswerAccuracy
from lmm_r1.rewards.compose import RewardSum
from lmm_r1.rewards.judged import Judged
from lmm_r1.rollout.store import RolloutStore
from lmm_r1.training.assembly import load_policy_and_processor, policy_module
from lmm_r1.training.batch import PromptSchedule, RolloutBatch, StepLoader
from lmm_r1.training.phases import Phases
from lmm_r1.training.rollout_callback import RolloutCallback
from lmm_r1.training.sampler import PolicySampler
from tests.training.updating import trainer_of

pytestmark = pytest.mark.slow

STEPS, PROMPTS, SAMPLES, TOKENS = 30, 2, 8, 5


def digits(judged: Judged) -> float:
    """The share of digits in a completion: easy to learn from a few tokens, in a few steps."""
    text = judged.completion.text
    return sum(character.isdigit() for character in text) / max(1, len(text))


class Earned(L.Callback):
    """The mean reward of each step's rollout."""

    def __init__(self) -> None:
        self.rewards: list[float] = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch: RolloutBatch, batch_idx: int) -> None:
        self.rewards.append(mean(score.reward for group in batch.groups for score in group.scores))


def composed(algorithm: str) -> dict:
    """A laptop's FRE run with short answers. The paper's learning rates are too small for 30 steps, its 16 optimiser
    steps a rollout are tested elsewhere, and a policy that has learned makes DAPO sample in vain."""
    register_resolvers()
    chosen = ["stage=fre", f"algorithm={algorithm}", f"rollout.samples={SAMPLES}", f"rollout.max_new_tokens={TOKENS}"]
    config = plain(compose_config("train", chosen))
    config["algorithm"] |= {"learning_rate": 2e-4, "schedule": "constant"}
    config["algorithm"]["mini_batches"] = min(2, config["algorithm"]["mini_batches"])
    config["algorithm"]["resampling_rounds"] = min(1, config["algorithm"]["resampling_rounds"])
    return config


@pytest.fixture(scope="module")
def start(repository) -> str:
    return str(repository / "models" / "tiny")


@pytest.fixture(scope="module")
def engine(start):
    """One for all: vLLM allows one a process."""
    engine = instantiate(composed("grpo")["rollout"], _convert_="all").engine(start)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def reward():
    reward = RewardSum(AnswerAccuracy(workers=1), {"accuracy": 1.0, "digits": 1.0}, {"digits": digits})
    yield reward
    reward.close()


@pytest.mark.parametrize("name", groups("train")["algorithm"])
def test_every_algorithm_learns_within_thirty_steps(engine, reward, start: str, tmp_path: Path, name: str):
    torch.manual_seed(0)
    config = composed(name)
    model, rollout, algorithm = (instantiate(config[of], _convert_="all") for of in ("model", "rollout", "algorithm"))
    policy, processor = load_policy_and_processor(model, start)
    phases = Phases()
    module = policy_module(
        policy,
        model,
        algorithm,
        start,
        temperature=rollout.temperature,
        banned_token_ids=banned_token_ids(processor, policy.config),
        steps=STEPS,
        phases=phases,
        seed=0,
    )
    before = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    sampler = PolicySampler(lambda: engine, reward, phases)
    rollouts = RolloutCallback(sampler, algorithm, processor, rollout.training, RolloutStore(tmp_path), seed=0)
    problems = SyntheticDataset("train", STEPS * PROMPTS, ["chain"], ["text_only"], (2, 3), 84, 0)
    schedule = PromptSchedule(
        size=len(problems), prompts_per_step=PROMPTS, steps=STEPS, first_step=0, seed=0, rank=0, world_size=1
    )
    earned = Earned()
    trainer_of(rollouts, earned).fit(module, StepLoader(problems, schedule, RolloutBatch))
    assert module.steps_done == STEPS
    assert mean(earned.rewards[-5:]) > 1.5 * mean(earned.rewards[:3])
    assert all(math.isfinite(value) for value in module.metrics.values())
    moved = {key.split(".")[0] for key, tensor in module.state_dict().items() if not torch.equal(tensor, before[key])}
    assert moved == ({"policy", "critic"} if algorithm.critic else {"policy"})
