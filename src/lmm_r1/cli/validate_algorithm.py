"""Impossible and contradictory settings of the algorithm."""

from __future__ import annotations

from lmm_r1.cli.checks import Config, lookup, number, one_of, text, truth, whole_number
from lmm_r1.errors import UserError

SCHEDULES = ("constant", "cosine")
ADVANTAGE_OF = ("reward", "terms")
KL_IN = ("loss", "reward")
WITH_VALUES = "lmm_r1.training.estimators.generalised_advantage"
OF_TERMS = "lmm_r1.algorithms.advantages.decoupled_normalised"
OF_COMPLETIONS = "lmm_r1.algorithms.losses.single_action_surrogate"
BIASED_SAMPLING = (
    "top_p",
    "top_k",
    "min_p",
    "typical_p",
    "repetition_penalty",
    "presence_penalty",
    "frequency_penalty",
)
"""What other projects let a sampler do, and a trainer that does not do it too cannot know of."""


TEMPERATURES = (0.01, 2.0)
"""The least and the greatest, besides 0, which vLLM keeps as they are."""

PARTS = {
    "algorithm.correction": "correction=<option>",
    "algorithm.kl_control": "kl_control=<option>",
    "algorithm.estimator": "algorithm=<option>",
    "algorithm.critic": "algorithm=<option>",
}
"""What is a callee with arguments or null, and how to choose it."""


def check_algorithm(config: Config) -> None:
    """Raises `UserError` for the first setting under `algorithm` that cannot work."""
    text(config, "algorithm.name")
    for key, cure in PARTS.items():
        _check_part(config, key, cure)
    _check_optimiser(config)
    _check_loss(config)
    _check_advantage(config)
    _check_kl(config)
    _check_critic(config)


def check_sampling(config: Config) -> None:
    """Raises `UserError` where a configuration file lets the sampler draw from another distribution than the trainer
    computes: a temperature is all that both know of."""
    for group in ("rollout", "rollout.engine"):
        for name in lookup(config, group) or ():
            refuse_biased_sampling(f"{group}.{name}")


def temperature(config: Config, key: str) -> float:
    """0, which is greedy, or what every engine samples at and the trainer divides its logits by."""
    least, most = TEMPERATURES
    value = number(config, key, 0, most)
    if 0 < value < least:
        raise UserError(
            f"{key}={value}: vLLM takes {least:g} for anything between 0 and {least:g}, which would then be another "
            f"distribution than the one that is asked for; take at least {least:g}, or 0 where greedy is meant"
        )
    return value


def refuse_biased_sampling(key: str) -> None:
    """Raises `UserError` for a key of the rollout that would bias the importance ratio."""
    group, _, name = key.rpartition(".")
    if group in ("rollout", "rollout.engine") and name in BIASED_SAMPLING:
        raise UserError(
            f"{key}: would draw from another distribution than the one that is trained, and so bias the importance "
            "ratio; rollout.temperature is all there is"
        )


def _check_part(config: Config, key: str, cure: str) -> None:
    part = lookup(config, key)
    if part is not None and not (isinstance(part, dict) and "_target_" in part):
        raise UserError(f"{key}={part}: must be null or a _target_ with its arguments; choose it with {cure}")


def _check_optimiser(config: Config) -> None:
    number(config, "algorithm.learning_rate", 0, above=True)
    number(config, "algorithm.weight_decay", 0)
    for key in ("warmup_ratio", "min_learning_rate_ratio"):
        number(config, f"algorithm.{key}", 0, 1)
    number(config, "algorithm.max_grad_norm", 0, above=True)
    one_of(config, "algorithm.schedule", SCHEDULES)
    for key in ("mini_batches", "inner_epochs", "micro_batch_tokens"):
        whole_number(config, f"algorithm.{key}", 1)
    betas = lookup(config, "algorithm.betas")
    if len(betas) != 2 or not all(isinstance(beta, (int, float)) and 0 <= beta < 1 for beta in betas):
        raise UserError(f"algorithm.betas={betas}: must be two numbers of at least 0 and below 1")


def _check_loss(config: Config) -> None:
    if lookup(config, "algorithm.loss.clip_low") is not None:
        number(config, "algorithm.loss.clip_low", 0, 1, above=True)
    if "clip_high" in config["algorithm"]["loss"]:
        number(config, "algorithm.loss.clip_high", 0, above=True)
    number(config, "algorithm.entropy_coef", 0)
    if lookup(config, "algorithm.correction.cap") is not None:
        number(config, "algorithm.correction.cap", 0, above=True)
    if lookup(config, "algorithm.correction.high") is not None:
        high = number(config, "algorithm.correction.high", 0, above=True)
        if number(config, "algorithm.correction.low", 0) >= high:
            raise UserError(
                f"algorithm.correction.low={config['algorithm']['correction']['low']}: must be below "
                f"algorithm.correction.high={high}"
            )


def _check_advantage(config: Config) -> None:
    whole_number(config, "algorithm.resampling_rounds", 0)
    of = one_of(config, "algorithm.advantage_of", ADVANTAGE_OF)
    if (lookup(config, "algorithm.advantage._target_") == OF_TERMS) != (of == "terms"):
        raise UserError(
            f"algorithm.advantage_of={of}: algorithm.advantage is made for the other; decoupled_normalised takes terms"
        )
    if of == "terms" and lookup(config, "reward.combination") == "gated":
        raise UserError(
            "algorithm.advantage_of=terms: compares the terms one by one, so reward.combination=gated would have no "
            "effect; take additive"
        )


def _check_kl(config: Config) -> None:
    coefficient = number(config, "algorithm.kl_coef", 0)
    place = one_of(config, "algorithm.kl_in", KL_IN)
    if place == "reward" and lookup(config, "algorithm.estimator") is None:
        raise UserError(
            "algorithm.kl_in=reward: only an estimator sees the rewards of tokens, and this algorithm has none; take "
            "algorithm.kl_in=loss, or algorithm=reinforce_baseline or ppo"
        )
    if lookup(config, "algorithm.kl_control") is None:
        return
    if coefficient == 0:
        raise UserError(
            "algorithm.kl_coef=0: algorithm.kl_control multiplies the coefficient, which stays 0; start above 0"
        )
    for key in ("target", "horizon"):
        number(config, f"algorithm.kl_control.{key}", 0, above=True)


def _check_critic(config: Config) -> None:
    estimator, critic = lookup(config, "algorithm.estimator._target_"), lookup(config, "algorithm.critic")
    if estimator is not None:
        number(config, "algorithm.estimator.gamma", 0, 1)
        if lookup(config, "algorithm.loss._target_") == OF_COMPLETIONS:
            raise UserError(
                "algorithm.loss: single_action_surrogate has one advantage a completion, and algorithm.estimator gives "
                "one a token; take another loss, or algorithm.estimator=null"
            )
    if estimator == WITH_VALUES and critic is None:
        raise UserError("algorithm.estimator: generalised_advantage needs values; give it a critic, as algorithm=ppo")
    if critic is None:
        return
    if estimator != WITH_VALUES:
        raise UserError(
            "algorithm.critic: nothing looks at its values; take algorithm.estimator as in algorithm=ppo, or "
            "algorithm.critic=null"
        )
    number(config, "algorithm.estimator.lam", 0, 1)
    truth(config, "algorithm.critic.own_model")
    number(config, "algorithm.critic.learning_rate", 0, above=True)
    number(config, "algorithm.critic.warmup_ratio", 0, 1)
    number(config, "algorithm.critic.max_grad_norm", 0, above=True)
    if lookup(config, "algorithm.critic.clip") is not None:
        number(config, "algorithm.critic.clip", 0, above=True)
