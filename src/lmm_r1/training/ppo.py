"""PPO with a value model: the update of `training.module` with a critic as the baseline."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn

from lmm_r1.algorithms.value import explained_variance, value_loss
from lmm_r1.models.modes import in_evaluation_mode
from lmm_r1.models.value_model import ValueModel
from lmm_r1.training.guarded_step import Skipped
from lmm_r1.training.module import GRPOModule
from lmm_r1.training.optimiser import optimiser_with_schedule
from lmm_r1.training.phases import Phases
from lmm_r1.training.settings import AlgorithmSettings
from lmm_r1.training.targets import Targets
from lmm_r1.training.update_metrics import UpdateMetrics
from lmm_r1.types import Experience


class PPOModule(GRPOModule):
    """PPO (arXiv 1707.06347) as InstructGPT (arXiv 2203.02155) and LMM-R1 (arXiv 2503.07536, section 3.1) use it.

    The critic has an optimiser, a schedule and a bound on its gradient of its own, and takes a step after each of the
    policy's on the same mini-batch. It is registered, so that a checkpoint holds it and its optimiser; an export is of
    the policy alone.
    """

    measured: ClassVar[tuple[str, ...]] = (
        *GRPOModule.measured,
        "value/mean",
        "value/return",
        "value/explained_variance",
        "value/loss",
        "value/grad_norm",
    )

    def __init__(
        self,
        policy: nn.Module,
        critic: ValueModel,
        reference: nn.Module | None,
        settings: AlgorithmSettings,
        *,
        temperature: float,
        banned_token_ids: tuple[int, ...],
        optimiser_steps: int,
        phases: Phases,
        seed: int,
    ) -> None:
        super().__init__(
            policy,
            reference,
            settings,
            temperature=temperature,
            banned_token_ids=banned_token_ids,
            optimiser_steps=optimiser_steps,
            phases=phases,
            seed=seed,
        )
        self.critic = critic
        self.skipped["value"] = Skipped("algorithm.critic.learning_rate")

    def configure_optimizers(self) -> list[dict[str, Any]]:
        """The policy's, then the critic's."""
        critic = optimiser_with_schedule(
            self.critic,
            learning_rate=self.settings.critic.learning_rate,
            betas=self.settings.betas,
            weight_decay=self.settings.weight_decay,
            schedule=self.settings.schedule,
            warmup_ratio=self.settings.critic.warmup_ratio,
            min_ratio=self.settings.min_learning_rate_ratio,
            steps=self.optimiser_steps,
            processes=self.trainer.world_size,
        )
        return [super().configure_optimizers(), critic]

    def _update(self, experience: Experience) -> None:
        super()._update(experience)
        self.metrics["value/learning_rate"] = self._schedule(1).get_last_lr()[0]

    def _targets(self, experience: Experience, metrics: UpdateMetrics) -> Targets:
        targets, mask = super()._targets(experience, metrics), experience.completion_mask
        metrics.add("value/mean", targets.values.sum(), mask.sum())
        metrics.add("value/return", targets.returns.sum(), mask.sum())
        explained = explained_variance(targets.values, targets.returns, mask, self._sum)
        if not explained.isnan():
            share = 1 / self.trainer.world_size
            metrics.add("value/explained_variance", explained * share, share)
        return targets

    @torch.no_grad()
    def _values(self, experience: Experience) -> torch.Tensor:
        values = torch.zeros_like(experience.sampler_logprobs)
        with in_evaluation_mode(self.critic), in_evaluation_mode(self.policy):
            for rows in self._forward.micro_batches(torch.arange(len(experience))):
                part = self._forward.values(self.critic, rows)
                values[rows, : part.shape[1]] = part.cpu()
        return values

    def _optimiser_step(
        self, experience: Experience, rows: torch.Tensor, targets: Targets, metrics: UpdateMetrics
    ) -> None:
        super()._optimiser_step(experience, rows, targets, metrics)
        self._critic_step(experience, rows, targets, metrics)

    def _critic_step(
        self, experience: Experience, rows: torch.Tensor, targets: Targets, metrics: UpdateMetrics
    ) -> None:
        critic = self.settings.critic
        mask = experience.completion_mask[rows].to(self.device)
        weights, count = self.settings.aggregation(mask)
        count, measured, total = self._sum(count), metrics.empty(), torch.zeros((), device=self.device)
        for micro in self._forward.micro_batches(rows):
            chosen, places = rows[micro], micro.to(self.device)
            values = self._forward.values(self.critic, chosen)
            length = values.shape[1]
            old_values, returns = (
                tensor[chosen, :length].to(self.device) for tensor in (targets.values, targets.returns)
            )
            losses = value_loss(values, old_values, returns, mask[places, :length], clip=critic.clip)
            loss = (losses * weights[places, :length]).sum() / count
            self.manual_backward(loss)
            total += loss.detach()
        suspects = self._suspects(experience, targets)
        if self._apply_gradients("value", self.critic, critic.max_grad_norm, total, measured, suspects):
            metrics.include(measured)
