"""The policy's update: the right-hand side of the paper's algorithm box."""

from __future__ import annotations

from typing import Any, ClassVar

import lightning as L
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import nn

from lmm_r1.algorithms.returns import token_rewards
from lmm_r1.models.image_features import share_frozen_tower
from lmm_r1.models.modes import in_evaluation_mode
from lmm_r1.training.batch import RolloutBatch
from lmm_r1.training.distributed import sum_gradients, sum_over_processes
from lmm_r1.training.estimators import TokenAdvantages
from lmm_r1.training.forward import ExperienceForward
from lmm_r1.training.optimiser import optimiser_with_schedule
from lmm_r1.training.phases import Phases
from lmm_r1.training.settings import AlgorithmSettings
from lmm_r1.training.splits import mini_batches
from lmm_r1.training.targets import Targets
from lmm_r1.training.update_metrics import UpdateMetrics
from lmm_r1.types import Experience


class GRPOModule(L.LightningModule):
    """Holds the policy and, when the KL coefficient is not 0, the reference policy.

    Optimisation is manual: an RL step is `inner_epochs` passes over the rollout, each of `mini_batches` optimiser
    steps, each of as many micro-batches as memory asks for. The result does not depend on the micro-batches.
    `training.ppo` adds a critic.
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
        super().__init__()
        self.automatic_optimization = False
        self.policy = policy
        # In a tuple, so that Lightning neither trains the reference nor writes it into every checkpoint.
        self._reference = (reference,)
        if reference is not None:
            share_frozen_tower(policy, reference)
        self.settings, self.temperature, self.seed = settings, temperature, seed
        self.optimiser_steps, self.phases = optimiser_steps, phases
        self.register_buffer("banned", torch.tensor(banned_token_ids, dtype=torch.long), persistent=False)
        self.kl_coef = settings.kl_coef
        self.steps_done = 0
        self._forward: ExperienceForward | None = None
        self.metrics: dict[str, float] = {}

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
        self.metrics = metrics.means(self._sum)
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
        count = self._sum(count)
        for micro in self._forward.micro_batches(rows):
            losses = self._token_losses(experience, rows[micro], targets, metrics)
            loss = (losses * weights[micro.to(self.device), : losses.shape[1]]).sum() / count
            self.manual_backward(loss)
            metrics.add("policy/loss", loss, 0)
        norm = self._apply_gradients(self.policy, 0, self.settings.max_grad_norm)
        # Every process takes the same step with the same norm: a share each, so that the sum counts it once.
        share = 1 / self.trainer.world_size
        metrics.add("policy/loss", 0.0, share)
        metrics.add("policy/grad_norm", norm * share, share)

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
            ratio=torch.exp(current.detach() - old),
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

    def _apply_gradients(self, model: nn.Module, index: int, max_norm: float) -> torch.Tensor:
        """A step of the optimiser at `index` on the gradients of all processes; returns their norm before clipping."""
        sum_gradients(self.trainer, model)
        norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        self._optimiser(index).step()
        self._optimiser(index).zero_grad()
        self._schedule(index).step()
        return norm

    def _optimiser(self, index: int = 0) -> LightningOptimizer:
        """The policy's is the first."""
        optimisers = self.optimizers()
        return optimisers[index] if isinstance(optimisers, list) else optimisers

    def _schedule(self, index: int = 0) -> torch.optim.lr_scheduler.LRScheduler:
        schedules = self.lr_schedulers()
        return schedules[index] if isinstance(schedules, list) else schedules

    def _sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum over processes, where the tensor was."""
        return sum_over_processes(self.trainer, tensor.to(self.device)).to(tensor.device)

    def _adapt_kl(self, experience: Experience) -> None:
        self.metrics["policy/kl_coef"] = self.kl_coef
        completions = len(experience) * self.trainer.world_size
        self.kl_coef = self.settings.kl_control(
            self.kl_coef, self.metrics["policy/kl_of_completion"], batch_size=completions
        )

    def transfer_batch_to_device(self, batch: RolloutBatch, device: torch.device, dataloader_idx: int) -> RolloutBatch:
        """Problems stay where they are; a micro-batch's tensors move when it is computed."""
        return batch

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["steps_done"], checkpoint["kl_coef"] = self.steps_done, self.kl_coef
        # The prompt schedule is a function of `steps_done`; Lightning's own counts would fight it.
        checkpoint.pop("loops", None)
        checkpoint["global_step"] = self.steps_done

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.steps_done, self.kl_coef = checkpoint["steps_done"], checkpoint["kl_coef"]
