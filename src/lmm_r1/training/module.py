"""The policy's update: the right-hand side of the paper's algorithm box."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from torch import nn

from lmm_r1.models.image_features import share_frozen_tower
from lmm_r1.training.batch import RolloutBatch
from lmm_r1.training.distributed import sum_gradients, sum_over_processes
from lmm_r1.training.forward import ExperienceForward
from lmm_r1.training.optimiser import optimiser_with_schedule
from lmm_r1.training.phases import Phases
from lmm_r1.training.settings import AlgorithmSettings
from lmm_r1.types import Experience


class GRPOModule(L.LightningModule):
    """Holds the policy and, when the KL coefficient is not 0, the reference policy.

    Optimisation is manual: an RL step is `inner_epochs` passes over the rollout, each of `mini_batches` optimiser
    steps, each of as many micro-batches as memory asks for. The result does not depend on the micro-batches.
    """

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
        self.steps_done = 0
        self.metrics: dict[str, float] = {}

    @property
    def on_policy(self) -> bool:
        """Whether the policy that takes the gradient is always the one that sampled, so that old = current."""
        return self.settings.mini_batches == 1 and self.settings.inner_epochs == 1

    def configure_optimizers(self) -> dict[str, Any]:
        return optimiser_with_schedule(
            self.policy,
            learning_rate=self.settings.learning_rate,
            betas=self.settings.betas,
            weight_decay=self.settings.weight_decay,
            schedule=self.settings.schedule,
            warmup_ratio=self.settings.warmup_ratio,
            min_ratio=self.settings.min_learning_rate_ratio,
            steps=self.optimiser_steps,
        )

    def training_step(self, batch: RolloutBatch, batch_idx: int) -> None:
        """One RL step on `batch.experience`, which the rollout callback has filled."""
        with self.phases("update"):
            self._update(batch.experience)
        self.steps_done += 1

    def _update(self, experience: Experience) -> None:
        settings = self.settings
        forward = ExperienceForward(
            experience,
            temperature=self.temperature,
            banned=self.banned,
            micro_batch_tokens=settings.micro_batch_tokens,
        )
        old = None if self.on_policy else forward.logprobs(self.policy)
        reference = None if settings.kl_coef == 0 else self._reference_logprobs(forward)
        sums = _MetricSums(self.device)
        for inner_epoch in range(settings.inner_epochs):
            for rows in self._mini_batches(experience.group_index, inner_epoch):
                self._optimiser_step(experience, forward, rows, old, reference, sums)
        self.metrics = sums.metrics(sum_over_processes(self.trainer, sums.values))
        self.metrics["learning_rate"] = self.lr_schedulers().get_last_lr()[0]

    def _optimiser_step(
        self,
        experience: Experience,
        forward: ExperienceForward,
        rows: torch.Tensor,
        old: torch.Tensor | None,
        reference: torch.Tensor | None,
        sums: _MetricSums,
    ) -> None:
        optimiser = self.optimizers()
        mask = experience.completion_mask[rows].to(self.device)
        weights, count = self.settings.aggregation(mask)
        count = sum_over_processes(self.trainer, count)
        for micro in forward.micro_batches(rows):
            # Gradients meet once, after the last micro-batch: a parameter that only some micro-batches or some
            # processes use (the vision tower, in a mixed batch) is what DDP's own reduction loses or hangs on.
            with optimiser.toggle_model(sync_grad=False):
                losses = self._token_losses(experience, forward, rows[micro], old, reference, sums)
                loss = (losses * weights[micro.to(self.device), : losses.shape[1]]).sum() / count
                self.manual_backward(loss)
            sums.add_loss(loss)
        sum_gradients(self.trainer, self.policy)
        norm = nn.utils.clip_grad_norm_(self.policy.parameters(), self.settings.max_grad_norm)
        optimiser.step()
        optimiser.zero_grad()
        self.lr_schedulers().step()
        sums.add_step(norm, self.trainer.world_size)

    def _token_losses(
        self,
        experience: Experience,
        forward: ExperienceForward,
        rows: torch.Tensor,
        old: torch.Tensor | None,
        reference: torch.Tensor | None,
        sums: _MetricSums,
    ) -> torch.Tensor:
        """`[B, T]`: the policy loss of each token plus its share of the KL penalty."""
        settings = self.settings
        mask, sampler_logprobs, advantages = self._columns(experience, rows)
        statistics = forward.statistics(self.policy, rows, with_entropy=True)
        current = statistics.logprobs
        old_logprobs = current.detach() if old is None else old[rows, : current.shape[1]].to(self.device)
        token_loss = settings.loss(current, old_logprobs, advantages[:, None])
        losses = token_loss.loss
        kl = torch.zeros_like(losses)
        if reference is not None:
            kl = settings.kl(current, reference[rows, : current.shape[1]].to(self.device))
            losses = losses + settings.kl_coef * kl
        sums.add_tokens(
            mask,
            kl=kl,
            entropy=statistics.entropy,
            clip_low=token_loss.clipped_low,
            clip_high=token_loss.clipped_high,
            sampler_kl=sampler_logprobs - old_logprobs,
            sampler_difference=(sampler_logprobs - old_logprobs).abs(),
        )
        return losses

    def _columns(self, experience: Experience, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Mask and sampler log-probabilities `[B, T]`, cut to the longest completion of `rows`, and advantages."""
        mask = experience.completion_mask[rows]
        longest = int(mask.sum(dim=1).max())
        return (
            mask[:, :longest].to(self.device),
            experience.sampler_logprobs[rows, :longest].to(self.device),
            experience.advantages[rows].to(self.device),
        )

    def _reference_logprobs(self, forward: ExperienceForward) -> torch.Tensor:
        (reference,) = self._reference
        if reference is not None:
            return forward.logprobs(reference.to(self.device))
        with self.policy.disable_adapter():
            return forward.logprobs(self.policy)

    def _mini_batches(self, group_index: torch.Tensor, inner_epoch: int) -> list[torch.Tensor]:
        """The rows of each optimiser step: all at once, or a shuffle that the seed and the step decide.

        Groups are shuffled whole, so that a prompt is computed in one step alone; steps are of equal size, and a group
        is cut where one ends.
        """
        if self.settings.mini_batches == 1:
            return [torch.arange(len(group_index))]
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + self.steps_done) * 1_009 + inner_epoch)
        turn = torch.randperm(int(group_index.max()) + 1, generator=generator)
        return list(turn[group_index].argsort(stable=True).chunk(self.settings.mini_batches))

    def transfer_batch_to_device(self, batch: RolloutBatch, device: torch.device, dataloader_idx: int) -> RolloutBatch:
        """Problems stay where they are; a micro-batch's tensors move when it is computed."""
        return batch

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["steps_done"] = self.steps_done
        # The prompt schedule is a function of `steps_done`; Lightning's own counts would fight it.
        checkpoint.pop("loops", None)
        checkpoint["global_step"] = self.steps_done

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.steps_done = checkpoint["steps_done"]


class _MetricSums:
    """Adds up a step's diagnostics on the device, to be reduced over processes in one go."""

    PER_TOKEN = ("kl", "entropy", "clip_low", "clip_high", "sampler_kl", "sampler_difference")

    def __init__(self, device: torch.device) -> None:
        self.values = torch.zeros(len(self.PER_TOKEN) + 4, device=device)

    def add_tokens(self, mask: torch.Tensor, **per_token: torch.Tensor) -> None:
        for index, name in enumerate(self.PER_TOKEN):
            self.values[index] += per_token[name].detach().float().mul(mask).sum()
        self.values[-4] += mask.sum()

    def add_loss(self, loss: torch.Tensor) -> None:
        self.values[-3] += loss.detach()

    def add_step(self, grad_norm: torch.Tensor, world_size: int) -> None:
        # Every process takes the same step with the same norm: a share each, so that the sum counts it once.
        self.values[-2] += grad_norm.detach() / world_size
        self.values[-1] += 1 / world_size

    def metrics(self, totals: torch.Tensor) -> dict[str, float]:
        *per_token, tokens, loss, grad_norm, steps = totals.tolist()
        metrics = {f"policy/{name}": total / tokens for name, total in zip(self.PER_TOKEN, per_token, strict=True)}
        return metrics | {"policy/loss": loss / steps, "policy/grad_norm": grad_norm / steps}
