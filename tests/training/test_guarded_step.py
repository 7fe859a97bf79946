"""An update that is not finite is not applied: to no weight, in no process, and it is counted."""

from __future__ import annotations

import math
import pickle
from pathlib import Path

import pytest
import torch

from lmm_r1.models.loading import load_policy
from lmm_r1.training.guarded_step import gradient_norm
from lmm_r1.training.phases import Phases
from lmm_r1.training.settings import SupervisedSettings
from lmm_r1.training.supervised import SupervisedModule
from tests.training.test_processes import together
from tests.training.updating import (
    configured,
    experience_of,
    loader_of,
    module_of,
    settings,
    spoil_gradient,
    take_steps,
    trainer_of,
)


def weights_of(module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def assert_same(first, second) -> None:
    assert first.keys() == second.keys()
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


@pytest.fixture
def experience(processor, make_groups):
    return experience_of(make_groups(4, 3), processor)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30])
def test_a_gradient_that_is_not_finite_changes_no_weight_and_no_moment(random_model, experience, banned, value):
    """1e30 is finite, and its square, in the norm, is not: clipping by it would make every gradient 0."""
    module = module_of(random_model, settings(), banned)
    spoil_gradient(module.policy, value, {1})
    trainer = trainer_of()
    before = weights_of(module)
    trainer.fit(module, loader_of(experience))
    assert module.skipped["policy"].in_a_row == 0 and module.metrics["policy/skipped_steps"] == 0
    first = weights_of(module)
    assert not torch.equal(first["policy.lm_head.weight"], before["policy.lm_head.weight"])
    module, trainer = module_of(random_model, settings(inner_epochs=2), banned), trainer_of()
    spoil_gradient(module.policy, value, {1})
    trainer.fit(module, loader_of(experience))
    assert_same(weights_of(module), first)
    states = list(trainer.optimizers[0].state.values())
    assert all(state["step"] == 1 and state["exp_avg"].isfinite().all() for state in states)
    assert module.metrics["policy/skipped_steps"] == module.skipped["policy"].in_a_row == 1
    assert module.skipped["policy"].cause == "the gradient alone"


def test_the_next_finite_step_is_taken_and_ends_the_row(random_model, experience, banned):
    module = module_of(random_model, settings(inner_epochs=4, schedule="cosine"), banned, optimiser_steps=4)
    spoil_gradient(module.policy, math.nan, {0, 2})
    trainer = trainer_of()
    trainer.fit(module, loader_of(experience))
    assert module.metrics["policy/skipped_steps"] == 2 and module.skipped["policy"].in_a_row == 0
    assert all(state["step"] == 2 for state in trainer.optimizers[0].state.values())
    # The schedule is one of the run's steps, taken or not.
    assert module.metrics["learning_rate"] == pytest.approx(1e-4)
    assert all(math.isfinite(value) for value in module.metrics.values())


def test_what_a_step_that_was_skipped_has_measured_is_void(random_model, experience, banned):
    """A mean over the steps that were taken; where none was, the quantity was not measured."""
    module = module_of(random_model, settings(), banned)
    take_steps(module, experience)
    expected = module.metrics
    module = module_of(random_model, settings(inner_epochs=2), banned)
    spoil_gradient(module.policy, math.nan, {1})
    take_steps(module, experience)
    different = {"policy/skipped_steps", "policy/sampler_kl", "policy/sampler_difference"}
    for name, value in expected.items():
        if not any(name.startswith(prefix) for prefix in different):
            assert module.metrics[name] == pytest.approx(value, rel=1e-4, abs=1e-7), name
    module = module_of(random_model, settings(kl_coef=0.01, kl_control=lambda *_, **__: 1 / 0), banned)
    spoil_gradient(module.policy, math.nan, {0})
    take_steps(module, experience)
    assert module.metrics == {"policy/skipped_steps": 1, "learning_rate": 1e-3, "policy/kl_coef": 0.01}
    assert module.kl_coef == 0.01


def test_policy_and_critic_are_skipped_each_by_itself(random_model, processor, make_groups, banned):
    algorithm = configured("ppo", inner_epochs=2, learning_rate=1e-3)
    experience = experience_of(make_groups(4, 3), processor, algorithm)
    for spoilt, other, names in (("policy", "critic", ("policy", "value")), ("critic", "policy", ("value", "policy"))):
        module = module_of(random_model, algorithm, banned)
        spoil_gradient(getattr(module, spoilt), math.nan, {0, 1})
        before = weights_of(module)
        take_steps(module, experience)
        changed = {name for name, tensor in module.state_dict().items() if not torch.equal(tensor, before[name])}
        assert changed and all(name.startswith(f"{other}.") for name in changed)
        assert [module.metrics[f"{name}/skipped_steps"] for name in names] == [2, 0]
        assert f"{names[0]}/loss" not in module.metrics and math.isfinite(module.metrics[f"{names[1]}/loss"])


def test_the_first_thing_that_was_not_finite_is_named(random_model, processor, make_groups, banned):
    def cause(change, **others) -> str:
        algorithm = configured("ppo", **others) if "critic" in change else settings(kl_coef=0.01)
        experience = experience_of(make_groups(2, 2), processor, algorithm)
        module = module_of(random_model, algorithm, banned)
        with torch.no_grad():
            if change == "reward":
                experience.advantages[1] = math.nan
            elif change == "reference":
                module._reference[0].model.language_model.norm.weight[0] = math.inf
            elif change == "policy":
                module.policy.model.language_model.norm.weight.fill_(1e38)
            else:
                module.critic.head.bias.fill_(math.nan)
        take_steps(module, experience)
        assert module.metrics["policy/skipped_steps"] == 1
        return module.skipped["policy"].cause

    assert cause("reward") == "a reward or an advantage"
    assert cause("reference") == "a log-probability of the reference policy"
    assert cause("policy") == "the loss, from the model's own passes"
    assert cause("critic") == "a value of the critic"


def test_a_loss_that_is_not_finite_is_enough(random_model, experience, banned):
    """Its gradient is finite here: what is measured, and what follows from it, would not be."""
    from lmm_r1.algorithms.losses import policy_gradient

    def loss(logprobs, old, advantages, mask):
        found = policy_gradient(logprobs, old, advantages, mask)
        return found._replace(loss=found.loss + math.inf)

    module = module_of(random_model, settings(loss=loss), banned)
    before = weights_of(module)
    take_steps(module, experience)
    assert_same(weights_of(module), before)
    assert (
        module.metrics["policy/skipped_steps"] == 1
        and module.skipped["policy"].cause == "the loss, from the model's own passes"
    )


def test_supervised_training_skips_likewise(random_model, processor, banned, make_groups):
    chosen = SupervisedSettings(2, 2, 1e-2, warmup_ratio=0.0, max_grad_norm=1.0, build=None)
    policy = load_policy(str(random_model), "float32")
    module = SupervisedModule(
        policy, processor, chosen, system_prompt=None, banned_token_ids=banned, steps=2, phases=Phases()
    )
    spoil_gradient(policy, math.nan, {0})
    before = weights_of(module)
    batch = [(group.problem, "<answer> $7$ </answer>") for group in make_groups(2, 2)]
    loader = torch.utils.data.DataLoader([batch], batch_size=None, collate_fn=lambda item: item)
    trainer_of().fit(module, loader)
    assert_same(weights_of(module), before)
    assert module.metrics["policy/skipped_steps"] == 1 and "policy/loss" not in module.metrics


def test_the_norm_of_coarse_gradients_is_not_coarse():
    gradients = [torch.full((4096,), 0.1, dtype=torch.bfloat16), torch.tensor([0.3])]
    exact = math.sqrt(4096 * float(gradients[0][0]) ** 2 + 0.3**2)
    assert float(gradient_norm(gradients)) == pytest.approx(exact, rel=1e-5)


@pytest.mark.slow
def test_a_fault_in_one_process_is_every_process_s(random_model, make_groups, tmp_path):
    """The first step, before there are moments to share out, and the last of three; and resumed between them."""
    stored = tmp_path / "groups.pickle"
    stored.write_bytes(pickle.dumps(make_groups(4, 3)))
    script = str(Path(__file__).with_name("two_with_a_fault.py"))
    together(script, 2, str(random_model), str(stored), str(tmp_path))
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=False) for rank in (0, 1))
    for dtype in ("float32", "bfloat16"):
        (one, resumed), (two, _) = first[dtype], second[dtype]
        assert one["in_a_row"] == two["in_a_row"] == [[1, 1], [0, 0], [1, 1]]
        assert one["causes"] == two["causes"] == ["the gradient alone"] * 3
        assert one["metrics"] == two["metrics"]
        for weights in zip(one["weights"], two["weights"], strict=True):
            assert_same(*weights)
        start, after_fault, after_step, after_second_fault = one["weights"]
        assert_same(start, after_fault)
        assert_same(after_step, after_second_fault)
        assert any(not torch.equal(tensor, start[name]) for name, tensor in after_step.items())
        for weights in zip(one["weights"][1:], resumed["weights"], strict=True):
            assert_same(*weights)
        assert resumed["in_a_row"] == one["in_a_row"][1:]
