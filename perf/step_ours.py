"""The project's side of `step.py`: the parts of a run, with its default configuration, at the referee's pace."""

from __future__ import annotations

import tempfile
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

# The first of all: it makes broken builds of torchvision bearable.
from step_work import Turns, Work, prepare, reward  # isort: skip
import lightning as L
import torch
from hydra.utils import instantiate

from lmm_r1.cli.composition import compose_config, plain
from lmm_r1.cli.paths import register_resolvers
from lmm_r1.models.prompts import banned_token_ids
from lmm_r1.rollout.store import RolloutStore
from lmm_r1.training.assembly import load_policy_and_processor, policy_module
from lmm_r1.training.batch import PromptSchedule, RolloutBatch, StepLoader
from lmm_r1.training.collate import collate
from lmm_r1.training.module import GRPOModule
from lmm_r1.training.phases import Phases
from lmm_r1.training.rollout_callback import RolloutCallback
from lmm_r1.training.sampler import PolicySampler

SHOWN = {"rollout": "sampling", "sync": "sampling", "reward": "scoring", "collate": "update", "update": "update"}
"""The columns of the table that a run's phases belong to."""


class Watched(Phases):
    """The phases of a run, by the referee's clock and names."""

    def __init__(self, turns: Turns) -> None:
        super().__init__()
        self.turns = turns

    def __call__(self, name: str) -> AbstractContextManager[None]:
        return self.turns.phase(SHOWN.get(name, "rest"))


class GivenRollout(L.Callback):
    """In place of `RolloutCallback`: completions and advantages that are given."""

    def __init__(self, work: Work, processor: Any, advantage: Any, phases: Phases) -> None:
        self.groups, self.processor, self.phases = work.given_groups(processor), processor, phases
        self.advantages = advantage(torch.tensor(work.given_rewards()))

    def on_train_batch_start(self, trainer: Any, pl_module: GRPOModule, batch: RolloutBatch, batch_idx: int) -> None:
        batch.groups = self.groups
        with self.phases("collate"):
            batch.experience = collate(self.groups, self.advantages, self.processor)


class Paced(L.Callback):
    """Begins a step when the referee says so, and tells what it took. The first of the callbacks."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns

    def on_train_batch_start(self, *_: Any) -> None:
        self.turns.wait()

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: RolloutBatch, batch_idx: int
    ) -> None:
        self.turns.report(int(batch.experience.completion_mask.sum()))


def main() -> None:
    work, turns = Work.told(), Turns()
    phases = Watched(turns)
    prepare(work)
    register_resolvers()
    overrides = [
        "stage=fre",
        f"model.path={work.model}",
        f"rollout.samples={work.samples}",
        f"rollout.max_new_tokens={work.new_tokens}",
        f"rollout.engine.max_num_seqs={min(256, work.prompts * work.samples)}",
        # So small that the policy, and with it the length of its answers, stays what it is.
        "algorithm.learning_rate=1e-7",
    ]
    config = plain(compose_config("train", overrides))
    algorithm, rollout, model = (
        instantiate(config[group], _convert_="all") for group in ("algorithm", "rollout", "model")
    )
    policy, processor = load_policy_and_processor(model, work.model)
    module = policy_module(
        policy,
        model,
        algorithm,
        work.model,
        temperature=rollout.temperature,
        banned_token_ids=banned_token_ids(processor, policy.config),
        steps=work.turns,
        phases=phases,
        seed=0,
    )
    sampler = PolicySampler(lambda: rollout.engine(model_path=work.model), reward(), phases)
    problems = work.problems()
    schedule = PromptSchedule(
        size=len(problems),
        prompts_per_step=len(problems),
        steps=work.turns,
        first_step=0,
        seed=0,
        rank=0,
        world_size=1,
    )
    with tempfile.TemporaryDirectory() as folder:
        if work.replayed:
            rollouts = GivenRollout(work, processor, algorithm.advantage, phases)
        else:
            store = RolloutStore(Path(folder) / "rollouts")
            rollouts = RolloutCallback(sampler, algorithm, processor, rollout.training, store, seed=0)
        trainer = L.Trainer(
            accelerator="cpu",
            max_epochs=1,
            callbacks=[Paced(turns), rollouts],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(module, StepLoader(problems, schedule, RolloutBatch))
    sampler.close()


if __name__ == "__main__":
    main()
