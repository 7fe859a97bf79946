"""TRL's side of `step.py`: its `GRPOTrainer` as it is, timed from outside, at the referee's pace."""

from __future__ import annotations

import tempfile
from typing import Any

from step_work import Turns, Work, prepare, reward

from lmm_r1.models.loading import load_policy, load_processor
from lmm_r1.types import IMAGE_MARKER, Completion, Group, Problem

# After the project's models, which make broken builds of torchvision bearable.
from datasets import Dataset  # isort: skip
from transformers import TrainerCallback  # isort: skip
from trl import GRPOConfig, GRPOTrainer  # isort: skip


class Timed(GRPOTrainer):
    """The trainer with a watch on two of its phases; the rest of a step is its update."""

    turns: Turns

    def _generate_single_turn(self, *arguments: Any, **settings: Any) -> Any:
        with self.turns.phase("sampling"):
            return super()._generate_single_turn(*arguments, **settings)

    def _calculate_rewards(self, *arguments: Any, **settings: Any) -> Any:
        with self.turns.phase("scoring"):
            return super()._calculate_rewards(*arguments, **settings)


class Paced(TrainerCallback):
    """Begins a step when the referee says so, and tells what it took."""

    def __init__(self, turns: Turns) -> None:
        self.turns, self.trainer, self.tokens_before = turns, None, 0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.turns.wait()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        masks = [inputs["completion_mask"] for inputs in self.trainer._buffered_inputs]
        self.turns.report(int(sum(mask.sum() for mask in masks)))


def row(number: int, problem: Problem) -> dict[str, Any]:
    prompt = [{"role": "user", "content": problem.question.removeprefix(IMAGE_MARKER)}]
    return {"prompt": prompt, "number": number, **({"images": list(problem.images)} if problem.images else {})}


def rewards_of(work: Work) -> Any:
    problems, ours = work.problems(), reward()

    def scored(completions: list[Any], number: list[int], **_: Any) -> list[float]:
        answers = [Completion((), (), completion[0]["content"], "stop", 0) for completion in completions]
        groups = [Group(problems[index], (), [answer]) for index, answer in zip(number, answers, strict=True)]
        return [score.reward for (score,) in ours.score_groups(groups)]

    return scored


def replay(work: Work, processor: Any) -> Any:
    """`rollout_func` and the reward of what is given."""
    groups, rewards = work.given_groups(processor), work.given_rewards()

    def rollout(asked: list[Any], trainer: GRPOTrainer) -> dict[str, list[Any]]:
        return {
            "prompt_ids": [list(group.prompt_ids) for group in groups for _ in group.completions],
            "completion_ids": [list(answer.token_ids) for group in groups for answer in group.completions],
            "logprobs": [list(answer.logprobs) for group in groups for answer in group.completions],
            "given": [given for row in rewards for given in row],
        }

    def scored(given: list[float], **_: Any) -> list[float]:
        return given

    return rollout, scored


def main() -> None:
    work, turns = Work.told(), Turns()
    prepare(work)
    processor = load_processor(work.model, None, None)
    rollout, scored = replay(work, processor) if work.replayed else (None, rewards_of(work))
    completions = work.prompts * work.samples
    micro_batch = min(work.micro_batch, completions)
    paced = Paced(turns)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Timed(
            model=load_policy(work.model, "float32"),
            reward_funcs=scored,
            args=GRPOConfig(
                output_dir=folder,
                use_cpu=True,
                bf16=False,
                per_device_train_batch_size=micro_batch,
                gradient_accumulation_steps=completions // micro_batch,
                num_generations=work.samples,
                max_completion_length=work.new_tokens,
                max_steps=work.turns,
                learning_rate=1e-7,
                shuffle_dataset=False,
                # Saves memory that is not short here, and costs a second forward pass.
                gradient_checkpointing=False,
                save_strategy="no",
                logging_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=Dataset.from_list([row(*numbered) for numbered in enumerate(work.problems())]),
            processing_class=processor,
            callbacks=[paced],
            rollout_func=rollout,
        )
        trainer.turns, paced.trainer = turns, trainer
        trainer.train()


if __name__ == "__main__":
    main()
