"""A word in the log on values that look wrong and are not, or look fine and are not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping


def explain(step: int, metrics: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    """Yield (kind, sentence) for what deserves one; the recorder says each kind once a run."""
    odd = [name for name, value in metrics.items() if not math.isfinite(value)]
    if odd:
        yield "not finite", f"step {step}: NaN or infinity in {', '.join(odd)}."
    skipped = any(value for name, value in metrics.items() if name.endswith("/skipped_steps"))
    if "reward/mean" not in metrics or skipped or odd:
        # What follows is meant for a policy that works.
        return
    if abs(metrics["policy/loss"]) < 1e-3:
        yield (
            "loss",
            (
                f"step {step}: the loss is {metrics['policy/loss']:.1e}, as it should be: on policy the ratio is 1 and "
                "the advantages of a group sum to 0. Its gradient is not 0; watch the reward."
            ),
        )
    silent = metrics["groups/zero_variance"]
    if silent >= 0.5:
        yield (
            "silent",
            f"step {step}: {silent:.0%} of the groups gave all their completions the same reward and teach nothing; "
            "the problems are too easy or too hard for this policy, or the groups too small (rollout.samples).",
        )
    share = metrics.get("policy/kl_share_of_reward", 0.0)
    if share >= 0.5:
        yield (
            "penalty",
            f"step {step}: {share:.0%} of what tells completions apart is the KL penalty and not the reward, and "
            "whitening makes advantages of full size of it, as this algorithm is defined; more of the rewards must "
            "differ (problems that are neither too easy nor too hard, algorithm.resampling_rounds), or "
            "algorithm.kl_in=loss keeps the penalty out of the advantages.",
        )
    if metrics["completion/truncated"] >= 0.25:
        yield (
            "truncated",
            f"step {step}: {metrics['completion/truncated']:.0%} of the completions ran out of tokens and fail the "
            "format; raise rollout.max_new_tokens.",
        )
    if metrics["policy/sampler_difference"] > 0.1:
        yield (
            "mismatch",
            f"step {step}: sampler and trainer differ by {metrics['policy/sampler_difference']:.2f} in log-probability "
            "a token on average; is the engine's dtype much coarser than the model's?",
        )
    if metrics["reward/mean"] == 0:
        yield "reward", f"step {step}: every reward is 0, so nothing is learned; look at the stored rollouts."
