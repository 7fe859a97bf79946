"""FlexAttention and SDPA say the same of a packed row."""

from __future__ import annotations

import pytest
import torch

from lmm_r1.models.group_logprobs import group_statistics
from lmm_r1.models.image_features import ImageFeatures
from lmm_r1.models.loading import load_config, load_policy
from lmm_r1.models.packed_model import trunk_of
from lmm_r1.models.packing import PromptGroup
from lmm_r1.models.prompts import banned_token_ids, render_prompt

TEXT, IMAGES = [[70, 130, 5], [200]], [[40, 1, 90]]
"""Lengths of the completions of each group: longer and shorter than a block of 128."""


@pytest.fixture(scope="module")
def banned(tiny_folder, processor) -> torch.Tensor:
    return torch.tensor(banned_token_ids(processor, load_config(str(tiny_folder))))


@pytest.fixture
def policies(tiny_folder):
    return {name: load_policy(str(tiny_folder), "float32", attention=name) for name in ("sdpa", "flex_attention")}


@pytest.fixture(scope="module")
def score(processor, text_problem, image_problem, banned):
    """Log-probabilities and entropies of two groups behind text and one behind images, on the model's device."""
    random = torch.Generator().manual_seed(0)
    groups, pixels = [], []
    for problem, sizes in ((text_problem, TEXT), (image_problem, IMAGES)):
        text = render_prompt(processor, problem, None)
        inputs = processor(text=[text], images=list(problem.images) or None, return_tensors="pt")
        for lengths in sizes:
            completions = [torch.randint(20, 90, (length,), generator=random) for length in lengths]
            groups.append(PromptGroup(inputs["input_ids"][0], completions, inputs.get("image_grid_thw")))
            pixels.append(inputs.get("pixel_values"))

    def statistics(model):
        features = ImageFeatures(pixels, [group.image_grid_thw for group in groups])(
            trunk_of(model), range(len(groups))
        )
        found = group_statistics(
            model, groups, features, temperature=0.7, banned=banned.to(model.device), with_entropy=True
        )
        return found.logprobs, found.entropy

    return statistics


@torch.no_grad()
@pytest.mark.parametrize("mixed", [False, True], ids=["float32", "bf16-mixed"])
def test_flex_attention_equals_sdpa(policies, score, mixed) -> None:
    """The forward pass without compiled kernels: all that a CPU has."""
    found = {}
    for name, policy in policies.items():
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed), torch.compiler.set_stance("force_eager"):
            found[name] = score(policy.eval())
    for ours, expected in zip(found["flex_attention"], found["sdpa"], strict=True):
        assert (ours - expected).abs().mean() <= (0.02 if mixed else 1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("mixed", [False, True], ids=["float32", "bf16-mixed"])
def test_compiled_flex_attention_has_the_gradients_of_sdpa(policies, score, mixed) -> None:
    values, gradients = {}, {}
    for name, policy in policies.items():
        policy.cuda()
        with torch.autocast("cuda", torch.bfloat16, enabled=mixed):
            logprobs, _ = score(policy)
        logprobs.sum().backward()
        values[name] = logprobs.detach()
        gradients[name] = {key: p.grad for key, p in policy.named_parameters() if p.grad is not None}
    assert (values["flex_attention"] - values["sdpa"]).abs().mean() <= (0.02 if mixed else 1e-4)
    assert gradients["flex_attention"].keys() == gradients["sdpa"].keys()
    largest = max(float(gradient.abs().max()) for gradient in gradients["sdpa"].values())
    for key, expected in gradients["sdpa"].items():
        difference = float((gradients["flex_attention"][key] - expected).abs().max())
        assert difference <= (0.02 if mixed else 1e-3) * largest, key
