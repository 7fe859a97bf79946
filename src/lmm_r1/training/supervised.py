"""The supervised warm start: maximum likelihood on given responses."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import ProcessorMixin

from lmm_r1.models.logprobs import completion_statistics
from lmm_r1.models.prompts import render_prompt
from lmm_r1.training.guarded_step import Skipped
from lmm_r1.training.optimiser import optimiser_with_schedule
from lmm_r1.training.phases import Phases
from lmm_r1.training.settings import SupervisedSettings
from lmm_r1.training.stepped_module import SteppedModule
from lmm_r1.types import Problem


class SupervisedModule(SteppedModule):
    """One optimiser step on `(problem, response)` pairs, normalised over the response tokens of the whole batch."""

    def __init__(
        self,
        policy: nn.Module,
        processor: ProcessorMixin,
        settings: SupervisedSettings,
        *,
        system_prompt: str | None,
        banned_token_ids: tuple[int, ...],
        steps: int,
        phases: Phases,
    ) -> None:
        super().__init__(phases, {"policy": Skipped("sft.learning_rate")})
        self.policy, self.processor, self.settings = policy, processor, settings
        self.system_prompt, self.steps = system_prompt, steps
        self.register_buffer("banned", torch.tensor(banned_token_ids, dtype=torch.long), persistent=False)

    def configure_optimizers(self) -> dict[str, Any]:
        return optimiser_with_schedule(
            self.policy,
            learning_rate=self.settings.learning_rate,
            betas=(0.9, 0.95),
            weight_decay=0.0,
            schedule="cosine",
            warmup_ratio=self.settings.warmup_ratio,
            min_ratio=0.1,
            steps=self.steps,
            processes=self.trainer.world_size,
        )

    def training_step(self, batch: list[tuple[Problem, str]], batch_idx: int) -> None:
        with self.phases("update"):
            self._update(batch)
        self.steps_done += 1

    def _update(self, batch: list[tuple[Problem, str]]) -> None:
        encoded = sorted((self._encode(problem, response) for problem, response in batch), key=lambda row: len(row[1]))
        tokens = self._sum(torch.tensor(float(sum(len(response) for _, response, *_ in encoded)), device=self.device))
        total = torch.zeros((), device=self.device)
        for start in range(0, len(encoded), self.settings.micro_batch_size):
            loss = self._negative_log_likelihood(encoded[start : start + self.settings.micro_batch_size]) / tokens
            self.manual_backward(loss)
            total += loss.detach()
        learning_rate = self._schedule().get_last_lr()[0]
        norm = self._guarded_step("policy", self.policy, loss=total, max_norm=self.settings.max_grad_norm, suspects={})
        loss = float(self._sum(total))
        taken = {} if norm is None else {"policy/loss": loss, "policy/grad_norm": float(norm)}
        self.metrics = taken | {"learning_rate": learning_rate} | self._skipped_steps()

    def _encode(
        self, problem: Problem, response: str
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """Prompt ids `[L]`, response ids `[T]` with the end token, image patches and grids."""
        tokenizer = self.processor.tokenizer
        inputs = self.processor(
            text=[render_prompt(self.processor, problem, self.system_prompt)],
            images=list(problem.images) or None,
            return_tensors="pt",
        )
        ids = tokenizer(response, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
        return inputs["input_ids"][0], torch.tensor(ids), inputs.get("pixel_values"), inputs.get("image_grid_thw")

    def _negative_log_likelihood(self, rows: list[tuple]) -> torch.Tensor:
        """The summed loss over the response tokens of a micro-batch."""
        prompts, responses, pixels, grids = zip(*rows, strict=True)
        completion_ids = nn.utils.rnn.pad_sequence(list(responses), batch_first=True).to(self.device)
        lengths = torch.tensor([len(response) for response in responses])
        mask = (torch.arange(completion_ids.shape[1]) < lengths[:, None]).to(self.device)
        pictures = [part for part in pixels if part is not None]
        statistics = completion_statistics(
            self.policy,
            [prompt.to(self.device) for prompt in prompts],
            completion_ids,
            mask,
            torch.cat(pictures).to(self.device) if pictures else None,
            torch.cat([grid for grid in grids if grid is not None]).to(self.device) if pictures else None,
            temperature=1.0,
            banned=self.banned,
            with_entropy=False,
        )
        return -(statistics.logprobs * mask).sum()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["steps_done"] = self.steps_done
        checkpoint["skipped_in_a_row"] = {name: skipped.in_a_row for name, skipped in self.skipped.items()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.steps_done = checkpoint["steps_done"]
        for name, in_a_row in checkpoint["skipped_in_a_row"].items():
            self.skipped[name].in_a_row = in_a_row
