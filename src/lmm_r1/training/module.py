"""The policy's update: the right-hand side of the paper's algorithm box."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import nn

from lmm_r1.algorithms.ratios import log_ratio, ratio
from lmm_r1.algorithms.returns import penalty_share, token_rewards
from lmm_r1.models.image_features import share_frozen_tower
from lmm_r1.models.modes import in_evaluation_mode
from lmm_r1.training.batch import RolloutBatch
from lmm_r1.training.estimators import TokenAdvantages
from lmm_r1.training.forward import ExperienceForward
from lmm_r1.training.guarded_step import REWARDS, Skipped
from lmm_r1.training.optimiser import optimiser_with_schedule
from lmm_r1.training.phases import Phases
from lmm_r1.training.settings import AlgorithmSettings
from lmm_r1.training.splits import mini_batches
from lmm_r1.training.stepped_module import SteppedModule
from lmm_r1.training.targets import Targets
from lmm_r1.training.update_metrics import UpdateMetrics
from lmm_r1.types import Experience


class GRPOModule(SteppedModule):
    """Holds the policy and, when the KL coefficient is not 0, the reference policy.

    An RL step is `inner_epochs` passes over the rollout, each of `mini_batches` optimiser steps, each of as many
    micro-batches as memory asks for. The result does not depend on the micro-batches. `training.ppo` adds a critic.
    """

    measured: ClassVar[tuple[str, ...]] = (
        "policy/kl",
        "policy/entropy",
        "policy/clip_low",
        "policy/clip_high",
        "policy/ratio",
        "policy/sampler_kl",
        "policy/sampler_kl/text",
        "policy/sampler_kl/image",
        "policy/sampler_difference",
        "policy/correction",
        "policy/kl_of_completion",
        "policy/kl_share_of_reward",
        "policy/loss",
        "policy/grad_norm",
    )
    """What an update may measure, in the same order in all processes."""

    def __init__(
        self,
        policy: nn.Module,
        reference: nn.Module | None,
        settings: AlgorithmSettings,
        *,
        temperature: float,
        banned_token_ids: tuple[int, ...],
        optimiser_steps: int,
        phases: Phases,
        seed: int,
    ) -> None:
        """Without a `reference`, a KL coefficient above 0 takes the policy with its LoRA adapter switched off."""
        super().__init__(phases, {"policy": Skipped("algorithm.learning_rate")})
        self.policy = policy
        # In a tuple, so that Lightning neither trains the reference nor writes it into every checkpoint.
        self._reference = (reference,)
        if reference is not None:
            share_frozen_tower(policy, reference)
        self.settings, self.temperature, self.seed = settings, temperature, seed
        self.optimiser_steps = optimiser_steps
        self.register_buffer("banned", torch.tensor(banned_token_ids, dtype=torch.long), persistent=False)
        self.kl_coef = settings.kl_coef
        self._forward: ExperienceForward | None = None

    @property
    def on_policy(self) -> bool:
        """Whether the policy that takes the gradient is always the one that sampled, so that old = current."""
        return self.settings.mini_batches == 1 and self.settings.inner_epochs == 1

    def configure_optimizers(self) -> Any:
        return optimiser_with_schedule(
            self.policy,
            learning_rate=self.settings.learning_rate,
            betas=self.settings.betas,
            weight_decay=self.settings.weight_decay,
            schedule=self.settings.schedule,
            warmup_ratio=self.settings.warmup_ratio,
            min_ratio=self.settings.min_learning_rate_ratio,
            steps=self.optimiser_steps,
            processes=self.trainer.world_size,
        )

    def training_step(self, batch: RolloutBatch, batch_idx: int) -> None:
        """One RL step on `batch.experience`, which the rollout callback has filled."""
        with self.phases("update"):
            self._update(batch.experience)
        self.steps_done += 1

    def _update(self, experience: Experience) -> None:
        settings, metrics = self.settings, UpdateMetrics(self.measured, self.device)
        self._forward = self._forward_of(experience)
        targets = self._targets(experience, metrics)
        for inner_epoch in range(settings.inner_epochs):
            for rows in self._mini_batches(experience.group_index, inner_epoch):
                self._optimiser_step(experience, rows, targets, metrics)
        self._forward = None
        self.metrics = metrics.means(self._sum) | self._skipped_steps()
        self.metrics["learning_rate"] = self._schedule().get_last_lr()[0]
        if settings.kl_control is not None:
            self._adapt_kl(experience)

    def _forward_of(self, experience: Experience) -> ExperienceForward:
        return ExperienceForward(
            experience,
            temperature=self.temperature,
            banned=self.banned,
            micro_batch_tokens=self.settings.micro_batch_tokens,
        )

    def _targets(self, experience: Experience, metrics: UpdateMetrics) -> Targets:
        """The passes without a gradient, as few as the settings allow, and the advantages of tokens."""
        penalised = self.settings.kl_in == "reward" and self.kl_coef != 0
        old = None if self.on_policy and not penalised else self._logprobs(self.policy)
        reference = None if self.kl_coef == 0 else self._reference_logprobs()
        penalty = self.settings.kl(old, reference) if penalised else None
        if penalty is not None:
            mask, part = experience.completion_mask, 1 / self.trainer.world_size
            share = penalty_share(experience.advantages, penalty, mask, self.kl_coef, reduce=self._sum)
            metrics.add("policy/kl_share_of_reward", share * part, part)
        values = self._values(experience)
        advantages, returns = self._token_advantages(experience, penalty, values)
        return Targets(advantages, old, reference, values, returns)

    def _values(self, experience: Experience) -> torch.Tensor | None:
        """`[N, T]` on the CPU: what a critic expects at each token; there is none here."""
        return None

    def _token_advantages(
        self, experience: Experience, penalty: torch.Tensor | None, values: torch.Tensor | None
    ) -> TokenAdvantages:
        """Args: `penalty` is the KL estimate of each token `[N, T]`, where it is taken off the reward."""
        if self.settings.estimator is None:
            return TokenAdvantages(experience.advantages[:, None], None)
        mask = experience.completion_mask
        rewards = token_rewards(experience.advantages, penalty, mask, self.kl_coef)
        return self.settings.estimator(rewards, values, mask, reduce=self._sum)

    def _optimiser_step(
        self, experience: Experience, rows: torch.Tensor, targets: Targets, metrics: UpdateMetrics
    ) -> None:
        mask = experience.completion_mask[rows].to(self.device)
        weights, count = self.settings.aggregation(mask)
        count, measured, total = self._sum(count), metrics.empty(), torch.zeros((), device=self.device)
        for micro in self._forward.micro_batches(rows):
            losses = self._token_losses(experience, rows[micro], targets, measured)
            loss = (losses * weights[micro.to(self.device), : losses.shape[1]]).sum() / count
            self.manual_backward(loss)
            total += loss.detach()
        suspects = self._suspects(experience, targets)
        if self._apply_gradients("policy", self.policy, self.settings.max_grad_norm, total, measured, suspects):
            metrics.include(measured)

    def _suspects(self, experience: Experience, targets: Targets) -> dict[str, torch.Tensor | None]:
        """What a loss was made of, for `guarded_step` to find what was not finite first."""
        sampler_logprobs = None if self.settings.correction is None else experience.sampler_logprobs
        return {
            REWARDS: experience.advantages,
            "a log-probability of the engine": sampler_logprobs,
            "a log-probability of the policy": targets.old_logprobs,
            "a log-probability of the reference policy": targets.reference_logprobs,
            "a value of the critic": targets.values,
            "an advantage of a token": targets.advantages,
        }

    def _token_losses(
        self, experience: Experience, rows: torch.Tensor, targets: Targets, metrics: UpdateMetrics
    ) -> torch.Tensor:
        """`[B, T]`: the policy loss of each token plus its share of the KL penalty."""
        settings = self.settings
        statistics = self._forward.statistics(
            self.policy, rows, with_entropy=True, entropy_gradient=settings.entropy_coef != 0
        )
        current, length = statistics.logprobs, statistics.logprobs.shape[1]
        mask = experience.completion_mask[rows, :length].to(self.device)
        sampler = experience.sampler_logprobs[rows, :length].to(self.device)
        advantages = targets.advantages[rows, :length].to(self.device)
        old = current.detach() if targets.old_logprobs is None else targets.old_logprobs[rows, :length].to(self.device)
        token_loss = settings.loss(current, old, advantages, mask)
        losses = token_loss.loss
        if settings.correction is not None:
            correction = settings.correction(old, sampler, mask)
            losses = losses * correction
            metrics.add_tokens(mask, correction=correction)
        kl = torch.zeros_like(losses)
        if targets.reference_logprobs is not None:
            kl = settings.kl(current, targets.reference_logprobs[rows, :length].to(self.device))
            if settings.kl_in == "loss":
                losses = losses + self.kl_coef * kl
        if settings.entropy_coef != 0:
            losses = losses - settings.entropy_coef * statistics.entropy
        metrics.add_tokens(
            mask,
            kl=kl,
            entropy=statistics.entropy,
            clip_low=token_loss.clipped_low,
            clip_high=token_loss.clipped_high,
            ratio=ratio(log_ratio(current.detach(), old, mask)),
        )
        images = torch.tensor([pixels is not None for pixels in experience.pixel_values])
        shows_image = images[experience.group_index[rows]].to(self.device)
        self._measure_mismatch(mask, sampler - old, shows_image, metrics)
        metrics.add("policy/kl_of_completion", (kl.detach() * mask).sum(), len(rows))
        return losses

    def _measure_mismatch(
        self, mask: torch.Tensor, difference: torch.Tensor, shows_image: torch.Tensor, metrics: UpdateMetrics
    ) -> None:
        """How far the sampler's log-probabilities are from the trainer's, for problems with and without images."""
        metrics.add_tokens(mask, sampler_kl=difference, sampler_difference=difference.abs())
        for name, rows in (("text", ~shows_image), ("image", shows_image)):
            metrics.add_tokens(mask & rows[:, None], **{f"sampler_kl/{name}": difference})

    def _logprobs(self, model: nn.Module) -> torch.Tensor:
        """`[N, T]` on the CPU: the log-probabilities of all completions under `model`, without gradient or dropout."""
        with in_evaluation_mode(model):
            return self._forward.logprobs(model)

    def _reference_logprobs(self) -> torch.Tensor:
        (reference,) = self._reference
        if reference is not None:
            return self._logprobs(reference.to(self.device))
        with self.policy.disable_adapter():
            return self._logprobs(self.policy)

    def _mini_batches(self, group_index: torch.Tensor, inner_epoch: int) -> list[torch.Tensor]:
        return mini_batches(
            group_index, self.settings.mini_batches, seed=self.seed, step=self.steps_done, inner_epoch=inner_epoch
        )

    def _apply_gradients(
        self,
        name: str,
        model: nn.Module,
        max_norm: float,
        loss: torch.Tensor,
        measured: UpdateMetrics,
        suspects: dict[str, torch.Tensor | None],
    ) -> bool:
        """A step on the gradients of all processes, where these are finite, by the optimiser of `name`.

        Its loss and norm join what was `measured` in the mini-batch, all of which is void where no step was taken.
        """
        norm = self._guarded_step(name, model, loss=loss, max_norm=max_norm, suspects=suspects)
        if norm is not None:
            # Every process takes the same step with the same norm: a share each, so that the sum counts it once.
            share = 1 / self.trainer.world_size
            measured.add(f"{name}/loss", loss, share)
            measured.add(f"{name}/grad_norm", norm * share, share)
        return norm is not None

    def _adapt_kl(self, experience: Experience) -> None:
        self.metrics["policy/kl_coef"] = self.kl_coef
        # No step, no measurement: the coefficient stays.
        measured = self.metrics.get("policy/kl_of_completion", math.nan)
        if math.isfinite(measured):
            completions = len(experience) * self.trainer.world_size
            self.kl_coef = self.settings.kl_control(self.kl_coef, measured, batch_size=completions)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["steps_done"], checkpoint["kl_coef"] = self.steps_done, self.kl_coef
        checkpoint["skipped_in_a_row"] = {name: skipped.in_a_row for name, skipped in self.skipped.items()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.steps_done, self.kl_coef = checkpoint["steps_done"], checkpoint["kl_coef"]
        for name, in_a_row in checkpoint["skipped_in_a_row"].items():
            self.skipped[name].in_a_row = in_a_row
