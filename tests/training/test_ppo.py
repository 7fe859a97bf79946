"""Laws of PPO's critic: what it learns, what it leaves alone, and what a checkpoint holds of it."""

from __future__ import annotations

import pytest
import torch

from lmm_r1.models.loading import LoraSettings, load_policy
from lmm_r1.models.logprobs import completion_inputs
from lmm_r1.models.value_model import ValueModel
from lmm_r1.training.assembly import load_trained, policy_module
from lmm_r1.training.checkpoint_folder import checkpoint_path
from lmm_r1.training.checkpoints import Checkpoints
from lmm_r1.training.forward import ExperienceForward
from lmm_r1.training.interrupts import Interrupts
from lmm_r1.training.phases import Phases
from lmm_r1.training.settings import CriticSettings
from lmm_r1.types import Experience
from tests.training.running import assert_equal, contents
from tests.training.updating import (
    configured,
    difference,
    experience_of,
    loader_of,
    model_settings,
    module_of,
    take_steps,
    trainer_of,
)

FAST = {"micro_batch_tokens": 10_000, "kl_coef": 0.0, "warmup_ratio": 0.0, "learning_rate": 1e-3}


def critic_settings(**changes) -> CriticSettings:
    values = {"own_model": True, "learning_rate": 1e-3, "warmup_ratio": 0.0, "clip": None, "max_grad_norm": 1e9}
    return CriticSettings(**(values | changes))


def ppo(**changes):
    return configured("ppo", **(FAST | {"critic": critic_settings()} | changes))


@pytest.fixture
def experience(processor, make_groups):
    return experience_of(make_groups(2, 3), processor, ppo())


@pytest.fixture
def values_of(experience, banned):
    def values(critic: ValueModel, rows=range(6)) -> torch.Tensor:
        forward = ExperienceForward(experience, temperature=1.0, banned=torch.tensor(banned), micro_batch_tokens=10_000)
        return forward.values(critic, torch.tensor(list(rows)))

    return values


@pytest.fixture
def critic(random_model) -> ValueModel:
    """With values other than 0."""
    critic = ValueModel(load_policy(str(random_model), "float32"), trains_model=True)
    torch.nn.init.normal_(critic.head.weight, generator=torch.Generator().manual_seed(0))
    return critic


def test_the_first_values_are_zero_and_padding_has_none(random_model, experience, values_of):
    critic = ValueModel(load_policy(str(random_model), "float32"), trains_model=True)
    assert not values_of(critic).any()
    with torch.no_grad():
        critic.head.bias.fill_(1.0)
    longest = int(experience.completion_mask.sum(dim=1).max())
    assert torch.equal(values_of(critic) != 0, experience.completion_mask[:, :longest])


def test_values_are_float32_in_any_precision(critic, values_of):
    with torch.autocast("cpu", torch.bfloat16):
        assert values_of(critic).dtype == torch.float32
    assert values_of(critic.bfloat16()).dtype == torch.float32


def test_a_value_is_that_of_the_state_before_its_token(critic, experience, values_of):
    """Changing a token changes the values after it, and neither its own nor those before."""
    longest = int(experience.completion_mask.sum(dim=1).argmax())
    (before,) = values_of(critic, [longest])
    experience.completion_ids[longest, 1] += 1
    (after,) = values_of(critic, [longest])
    assert torch.allclose(before[:2], after[:2], atol=1e-6)
    assert (before[2:] - after[2:]).abs().min() > 1e-6


def padded_values(critic: ValueModel, experience: Experience) -> torch.Tensor:
    """Every completion behind a prompt and an image of its own, in one padded batch."""
    groups, mask = experience.group_index.tolist(), experience.completion_mask
    pixels = [experience.pixel_values[group] for group in groups if experience.pixel_values[group] is not None]
    grids = [experience.image_grid_thw[group] for group in groups if experience.pixel_values[group] is not None]
    inputs, predicting = completion_inputs(
        critic.trunk.config,
        [experience.prompt_ids[group] for group in groups],
        experience.completion_ids,
        mask,
        torch.cat(pixels) if pixels else None,
        torch.cat(grids) if grids else None,
    )
    hidden = critic.trunk(**inputs, use_cache=False).last_hidden_state[:, predicting]
    return critic.head(hidden).squeeze(-1).masked_fill(~mask, 0.0)


@pytest.mark.parametrize("renderings", [("text_only",), ("vision_only",), ("text_only", "vision_only")])
def test_values_and_their_gradients_are_those_of_separate_sequences(critic, processor, make_groups, banned, renderings):
    experience = experience_of(make_groups(2, 4, renderings=renderings), processor, ppo())
    forward = ExperienceForward(experience, temperature=1.0, banned=torch.tensor(banned), micro_batch_tokens=10_000)
    expected = padded_values(critic, experience)
    ours = forward.values(critic, torch.arange(len(experience)))
    longest = ours.shape[1]
    assert not expected[:, longest:].any()
    weights = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1))
    gradients = []
    for values in (ours, expected[:, :longest]):
        (values * weights).sum().backward()
        gradients.append({name: p.grad.clone() for name, p in critic.named_parameters() if p.grad is not None})
        critic.zero_grad()
    # Sums in another order: up to 1.4e-5 apart was seen, by the number of threads.
    torch.testing.assert_close(ours, expected[:, :longest], rtol=1e-4, atol=1e-4)
    assert difference(*gradients) <= 1e-4


def test_the_critic_learns_the_returns(random_model, banned, experience):
    module = module_of(random_model, ppo(mini_batches=3, inner_epochs=2), banned, optimiser_steps=100)
    losses, explained = [], []
    for _ in range(6):
        take_steps(module, experience)
        losses.append(module.metrics["value/loss"])
        explained.append(module.metrics["value/explained_variance"])
    assert explained[0] == pytest.approx(0, abs=1e-6)
    assert losses[-1] < losses[0] / 2
    assert explained[-1] > 0.5


def test_a_head_on_the_policy_learns_alone(random_model, banned, experience):
    algorithm = ppo(critic=critic_settings(own_model=False))
    module = module_of(random_model, algorithm, banned)
    assert sum(parameter.numel() for parameter in module.critic.parameters()) < 1000
    _, gradient = take_steps(module, experience)
    assert sorted(gradient) == ["critic.head.bias", "critic.head.weight"]
    assert all(parameter.grad is None for parameter in module.policy.parameters())


def test_a_head_on_the_policy_reads_its_tower_as_it_is_at_the_time(random_model, processor, banned, make_groups):
    """The tower learns between the critic's steps: an image's features from before would be those of another model."""
    algorithm = ppo(critic=critic_settings(own_model=False), mini_batches=2)
    experience = experience_of(make_groups(2, 3, renderings=("vision_only",)), processor, algorithm)
    module = module_of(random_model, algorithm, banned)
    calls = []
    module.policy.model.visual.register_forward_pre_hook(lambda *_: calls.append(1))
    take_steps(module, experience)
    old, values, steps = 1, 1, 2
    assert len(calls) == old + values + 2 * steps


def test_the_critic_s_bound_on_the_gradient_is_its_own(random_model, banned, experience):
    """The policy's gradient is the same whatever the critic's is cut to."""
    bounds = (1e9, 1e-9)
    policies, critics = zip(
        *(
            take_steps(module_of(random_model, ppo(critic=critic_settings(max_grad_norm=bound)), banned), experience)
            for bound in bounds
        ),
        strict=True,
    )
    assert_equal(*policies)
    assert max(float(gradient.abs().max()) for gradient in critics[1].values()) < 1e-8
    assert max(float(gradient.abs().max()) for gradient in critics[0].values()) > 1e-3


def test_a_critic_with_adapters_trains_its_adapters_and_its_head(random_model, banned, experience):
    lora = LoraSettings(rank=4, alpha=8, dropout=0.0, target_modules=("q_proj", "v_proj"))
    policy, model = (load_policy(str(random_model), "float32", lora=lora, freeze_vision=True) for _ in range(2))
    module = module_of(random_model, ppo(), banned, policy=policy)
    module.critic = ValueModel(model, trains_model=True)
    _, gradient = take_steps(module, experience)
    assert gradient and all("lora" in name or "head" in name for name in gradient)


@pytest.mark.parametrize("freeze_vision", [True, False])
def test_a_frozen_tower_is_the_policy_s_and_a_trained_one_the_critic_s_own(random_model, banned, freeze_vision):
    model = model_settings(random_model, freeze_vision=freeze_vision)
    policy = load_trained(model, model.path)
    module = policy_module(
        policy, model, ppo(), model.path, temperature=1.0, banned_token_ids=banned, steps=1, phases=Phases(), seed=0
    )
    assert (module.critic.trunk.visual is policy.model.visual) == freeze_vision
    assert module.critic.trunk.language_model is not policy.model.language_model


@pytest.mark.parametrize("own_model", [True, False])
def test_a_resumed_update_is_the_one_that_was_not_interrupted(
    random_model, processor, banned, make_groups, tmp_path, own_model
):
    """Policy, critic, both optimisers and both schedules, bit for bit."""
    algorithm = ppo(
        critic=critic_settings(own_model=own_model, warmup_ratio=0.5), kl_coef=0.01, mini_batches=2, schedule="cosine"
    )
    experiences = [experience_of(make_groups(2, 3, seed), processor, algorithm) for seed in range(2)]

    def run(folder, *parts, resume=None):
        module = module_of(random_model, algorithm, banned, optimiser_steps=4)
        saver = Checkpoints(tmp_path / folder, Interrupts(), every=1, keep=9, steps=2, resume=resume)
        trainer_of(saver).fit(module, loader_of(*parts))
        return contents(checkpoint_path(saver.folder, module.steps_done))

    whole = run("whole", *experiences)
    resumed = run("resumed", experiences[1], resume=checkpoint_path(tmp_path / "whole", 1))
    assert {name.split(".")[1] for name in whole if name.startswith("weights.")} == {"policy", "critic"}
    assert {name.split(".")[1] for name in whole if name.startswith("moments.")} == {"0", "1"}
    assert len(whole["run"]["schedules"]) == 2
    assert_equal(whole, resumed)
