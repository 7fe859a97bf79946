"""The operations that are planned and logged are those that torch counts."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from lmm_r1.models.architecture import architecture_of
from lmm_r1.models.costs import language_activation_bytes, vision_activation_bytes
from lmm_r1.models.loading import load_policy
from lmm_r1.training.forward import ExperienceForward
from lmm_r1.training.step_costs import Passes, shape_of, update_flops
from tests.training.updating import configured, experience_of, loader_of, module_of, trainer_of

PLAIN = Passes(
    gradient=1, old=False, reference=False, critic=None, adapters=False, vision_trained=True, checkpointing=False
)


@pytest.fixture(scope="module", params=[("text_only",), ("vision_only",)], ids=["text", "images"])
def experience(request, make_groups, processor):
    """Groups of eight, so that padding within a group is small."""
    return experience_of(make_groups(2, 8, renderings=request.param), processor)


def counted(model, experience, banned, *, gradient: bool) -> int:
    """Operations of the step's own forward pass, and of its backward pass, as torch counts them."""
    forward = ExperienceForward(experience, temperature=1.0, banned=torch.tensor(banned), micro_batch_tokens=100_000)
    # Attention as plain products: torch does not count the fused kernel of CPUs.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.set_grad_enabled(gradient):
        rows = torch.arange(len(experience))
        logprobs = forward.statistics(model, rows, with_entropy=gradient).logprobs
        if gradient:
            logprobs.sum().backward()
    return counter.get_total_flops()


def test_a_pass_without_gradient_costs_what_torch_counts(policy, random_model, experience, banned):
    passes = replace(PLAIN, old=True)
    expected = update_flops(architecture_of(str(random_model)), shape_of(experience), passes, recomputed=False)["old"]
    assert expected == pytest.approx(counted(policy, experience, banned, gradient=False), rel=0.02)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_pass_with_gradient_costs_what_torch_counts(random_model, experience, banned, checkpointing):
    model = load_policy(str(random_model), "float32", gradient_checkpointing=checkpointing)
    passes = replace(PLAIN, checkpointing=checkpointing)
    expected = update_flops(architecture_of(str(random_model)), shape_of(experience), passes, recomputed=True)
    # A layer is computed again only up to the last tensor that its backward pass reads, and the merger not at all.
    tolerance = 0.1 if checkpointing else 0.05
    assert expected["policy"] == pytest.approx(counted(model, experience, banned, gradient=True), rel=tolerance)


def test_a_frozen_tower_costs_one_pass(random_model, experience, banned):
    model = load_policy(str(random_model), "float32", freeze_vision=True)
    passes = replace(PLAIN, vision_trained=False)
    expected = update_flops(architecture_of(str(random_model)), shape_of(experience), passes, recomputed=True)
    assert expected["policy"] == pytest.approx(counted(model, experience, banned, gradient=True), rel=0.05)


def test_every_pass_that_the_algorithm_makes_is_counted(random_model, make_groups, processor, banned):
    """A whole update with an old and a reference pass and a critic of its own."""
    algorithm = configured("ppo", mini_batches=1, micro_batch_tokens=100_000)
    experience = experience_of(make_groups(2, 8), processor, algorithm)
    module, trainer = module_of(random_model, algorithm, banned), trainer_of()
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        trainer.fit(module, loader_of(experience))
    passes = replace(PLAIN, old=True, reference=True, critic="own")
    expected = update_flops(architecture_of(str(random_model)), shape_of(experience), passes, recomputed=True)
    assert sum(expected.values()) == pytest.approx(counter.get_total_flops(), rel=0.05)
    assert set(expected) == {"policy", "old", "reference", "critic"}


def test_activations_are_what_autograd_keeps(policy, random_model, experience, banned):
    kept: dict[int, tuple[int, torch.Tensor]] = {}
    weights = {parameter.untyped_storage().data_ptr() for parameter in policy.parameters()}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    forward = ExperienceForward(experience, temperature=1.0, banned=torch.tensor(banned), micro_batch_tokens=100_000)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        forward.statistics(policy, torch.arange(len(experience)), with_entropy=True)
    bytes_kept = sum(size for place, (size, _) in kept.items() if place not in weights)
    architecture, shape = architecture_of(str(random_model)), shape_of(experience)
    expected = language_activation_bytes(architecture.text, shape.shared_tokens, 4, checkpointing=False)
    expected += vision_activation_bytes(architecture.vision, shape.patches, 4, checkpointing=False)
    assert expected == pytest.approx(bytes_kept, rel=0.3)


def test_shared_prompts_are_cheaper_by_what_repeating_them_costs(experience):
    shape = shape_of(experience)
    assert len(shape.prompts) == 2 and all(len(lengths) == 8 for lengths in shape.completions)
    assert shape.repeated_tokens - shape.shared_tokens == 7 * sum(shape.prompts)
    assert shape.completion_tokens == int(experience.completion_mask.sum())
    patches = sum(math.prod(image) for images in shape.images for image in images)
    assert patches == sum(0 if pixels is None else len(pixels) for pixels in experience.pixel_values)


def test_adapters_spare_the_gradients_of_the_weights(random_model, experience):
    architecture, shape = architecture_of(str(random_model)), shape_of(experience)
    full, low_rank = (
        update_flops(architecture, shape, replace(PLAIN, adapters=adapters), recomputed=False)["policy"]
        for adapters in (False, True)
    )
    assert low_rank * 3 == full * 2
