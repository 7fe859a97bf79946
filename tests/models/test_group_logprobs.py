"""A shared prompt changes the work and nothing else: numbers and gradients are those of separate sequences."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmm_r1.models import token_logprobs
from lmm_r1.models.group_logprobs import group_statistics
from lmm_r1.models.image_features import ImageFeatures, share_frozen_tower
from lmm_r1.models.loading import LoraSettings, load_config, load_policy
from lmm_r1.models.logprobs import completion_statistics
from lmm_r1.models.packed_model import trunk_of
from lmm_r1.models.packing import PromptGroup
from lmm_r1.models.prompts import banned_token_ids, render_prompt
from lmm_r1.types import Problem

TEMPERATURE = 0.7
KINDS = ("text", "one image", "two images")
VARIANTS = ("full", "frozen tower", "lora", "checkpointing")


@pytest.fixture(scope="module")
def policies(tiny_folder):
    """One policy for each way to train."""
    lora = LoraSettings(rank=4, alpha=8, dropout=0.0, target_modules=("q_proj", "v_proj", "down_proj"))
    ways = {
        "full": {},
        "frozen tower": {"freeze_vision": True},
        "lora": {"lora": lora, "freeze_vision": True},
        "checkpointing": {"gradient_checkpointing": True},
    }
    policies = {name: load_policy(str(tiny_folder), "float32", **way) for name, way in ways.items()}
    # A new adapter's B is zero, and so is the gradient of its A.
    for name, parameter in policies["lora"].named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05, generator=torch.Generator().manual_seed(0))
    return policies


@pytest.fixture(scope="module")
def banned(tiny_folder, processor) -> torch.Tensor:
    return torch.tensor(banned_token_ids(processor, load_config(str(tiny_folder))))


@pytest.fixture(scope="module")
def prompts(processor, text_problem, image_problem) -> dict[str, dict]:
    """For each kind a prompt's ids, patches and grids."""
    single = Problem(id="single", question="<image> What is it?", answer="A", images=image_problem.images[1:])
    made = {}
    for kind, problem in zip(KINDS, (text_problem, single, image_problem), strict=True):
        text = render_prompt(processor, problem, "Think." if kind == "text" else None)
        made[kind] = processor(text=[text], images=list(problem.images) or None, return_tensors="pt")
    return made


class Groups:
    """Groups of random tokens behind prompts of the given kinds."""

    def __init__(self, prompts: dict[str, dict], sizes: list[tuple[str, list[int]]], seed: int) -> None:
        random = torch.Generator().manual_seed(seed)
        sizes = sorted(sizes, key=lambda group: len(prompts[group[0]]["input_ids"][0]))
        self.kinds = [prompts[kind] for kind, _ in sizes]
        self.groups = [
            PromptGroup(
                prompts[kind]["input_ids"][0],
                [torch.randint(20, 90, (length,), generator=random) for length in lengths],
                prompts[kind].get("image_grid_thw"),
            )
            for kind, lengths in sizes
        ]
        self.weights = torch.randn(sum(sum(lengths) for _, lengths in sizes), generator=random)

    def packed(self, model, banned):
        features = ImageFeatures(
            [kind.get("pixel_values") for kind in self.kinds], [group.image_grid_thw for group in self.groups]
        )
        images = features(trunk_of(model), range(len(self.groups)))
        statistics = group_statistics(
            model, self.groups, images, temperature=TEMPERATURE, banned=banned, with_entropy=True
        )
        return statistics.logprobs, statistics.entropy

    def padded(self, model, banned):
        """Every completion behind a prompt of its own, in one padded batch."""
        rows = [(number, ids) for number, group in enumerate(self.groups) for ids in group.completions]
        ids = torch.nn.utils.rnn.pad_sequence([completion for _, completion in rows], batch_first=True)
        mask = torch.arange(ids.shape[1]) < torch.tensor([len(completion) for _, completion in rows])[:, None]
        images = [self.kinds[number] for number, _ in rows if "pixel_values" in self.kinds[number]]
        statistics = completion_statistics(
            model,
            [self.groups[number].prompt_ids for number, _ in rows],
            ids,
            mask,
            torch.cat([kind["pixel_values"] for kind in images]) if images else None,
            torch.cat([kind["image_grid_thw"] for kind in images]) if images else None,
            temperature=TEMPERATURE,
            banned=banned,
        )
        return statistics.logprobs[mask], statistics.entropy[mask]


def gradients(model, weights, logprobs) -> dict[str, torch.Tensor]:
    (logprobs * weights).sum().backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    model.zero_grad()
    return found


@torch.no_grad()
def assert_close(first: torch.Tensor, second: torch.Tensor, scale: float, what: str) -> None:
    """To 1e-5 of the largest number there is, at float32."""
    assert (first - second).abs().max() <= 1e-5 * scale, f"{what}: {(first - second).abs().max() / scale:.1e}"


def assert_equal_to_separate_sequences(model, groups: Groups, banned) -> None:
    logprobs, entropy = groups.packed(model, banned)
    expected_logprobs, expected_entropy = groups.padded(model, banned)
    assert_close(logprobs, expected_logprobs, float(expected_logprobs.detach().abs().max()), "log-probabilities")
    assert_close(entropy, expected_entropy, float(expected_entropy.abs().max()), "entropy")
    ours = gradients(model, groups.weights, logprobs)
    expected = gradients(model, groups.weights, expected_logprobs)
    assert ours.keys() == expected.keys() and ours
    largest = max(float(gradient.abs().max()) for gradient in expected.values())
    for name in ours:
        assert_close(ours[name], expected[name], largest, name)


group = st.tuples(st.sampled_from(KINDS), st.lists(st.integers(1, 20), min_size=1, max_size=4))


@settings(max_examples=15, derandomize=True)
@given(sizes=st.lists(group, min_size=1, max_size=4), variant=st.sampled_from(VARIANTS), seed=st.integers(0, 99))
def test_a_packed_row_equals_separate_sequences(policies, prompts, banned, sizes, variant, seed) -> None:
    assert_equal_to_separate_sequences(policies[variant], Groups(prompts, sizes, seed), banned)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_way_to_train_has_the_gradients_of_separate_sequences(policies, prompts, banned, variant) -> None:
    sizes = [("text", [3, 1]), ("one image", [2, 15, 1]), ("two images", [4, 4]), ("text", [6])]
    assert_equal_to_separate_sequences(policies[variant], Groups(prompts, sizes, seed=3), banned)


def test_the_reference_of_an_adapter_shares_prompts_too(policies, prompts, banned) -> None:
    groups = Groups(prompts, [("text", [3, 1]), ("one image", [2, 5])], seed=5)
    model = policies["lora"]
    with torch.no_grad():
        with model.disable_adapter():
            without, expected = groups.packed(model, banned)[0], groups.padded(model, banned)[0]
        assert (without - groups.packed(model, banned)[0]).abs().max() > 1e-3
    assert_close(without, expected, float(expected.abs().max()), "log-probabilities")


def test_an_untied_head_learns_apart_from_the_embedding(policies, tiny_folder, prompts, banned) -> None:
    model = load_policy(str(tiny_folder), "float32")
    head = torch.nn.Linear(*reversed(model.lm_head.weight.shape), bias=False)
    torch.nn.init.normal_(head.weight, std=0.1, generator=torch.Generator().manual_seed(0))
    model.lm_head = head
    assert_equal_to_separate_sequences(model, Groups(prompts, [("text", [3, 1]), ("one image", [4])], seed=1), banned)


def test_completions_do_not_see_each_other(policies, prompts, banned) -> None:
    """Another first completion, another second group: the rest stays as it is."""
    model = policies["full"]
    with torch.no_grad():
        groups = Groups(prompts, [("text", [5, 4]), ("text", [3])], seed=0)
        before, _ = groups.packed(model, banned)
        groups.groups[0].completions[0] = groups.groups[0].completions[0] + 1
        groups.groups[1].completions[0] = groups.groups[1].completions[0] + 1
        after, _ = groups.packed(model, banned)
    assert not torch.equal(before[:5], after[:5])
    torch.testing.assert_close(before[5:9], after[5:9], rtol=1e-5, atol=1e-6)


def test_a_head_with_adapters_is_refused(tiny_folder, prompts, banned) -> None:
    lora = LoraSettings(rank=2, alpha=4, dropout=0.0, target_modules=("lm_head",))
    model = load_policy(str(tiny_folder), "float32", lora=lora)
    with pytest.raises(ValueError, match="adapters on lm_head"):
        Groups(prompts, [("text", [3])], seed=0).packed(model, banned)


def test_images_that_do_not_belong_to_the_prompts_are_an_error(policies, prompts, banned) -> None:
    groups = Groups(prompts, [("one image", [2])], seed=0)
    groups.kinds = [{}]
    with pytest.raises(ValueError, match="6 image tokens and the images give 0 features"):
        groups.packed(policies["full"], banned)


def test_a_banned_token_among_the_sampled_is_an_error(policies, prompts, banned) -> None:
    groups = Groups(prompts, [("text", [2])], seed=0)
    groups.groups[0].completions[0] = banned[:2]
    with pytest.raises(ValueError, match="banned"):
        groups.packed(policies["full"], banned)


def test_a_frozen_tower_sees_each_image_once(policies, prompts, monkeypatch) -> None:
    seen = []
    for name in ("full", "frozen tower"):
        tower = policies[name].model.visual
        tower.register_forward_pre_hook(lambda module, args, name=name: seen.append(name))
        kinds = [prompts["one image"], prompts["two images"]]
        features = ImageFeatures([kind["pixel_values"] for kind in kinds], [kind["image_grid_thw"] for kind in kinds])
        first = features(trunk_of(policies[name]), [0, 1])
        again = features(trunk_of(policies[name]), [1, 0])
        assert torch.equal(first, torch.cat([again[26:], again[:26]]))
    assert seen == ["full", "full", "frozen tower"]


def test_a_frozen_tower_is_shared_with_the_reference(tiny_folder) -> None:
    frozen, trained = (load_policy(str(tiny_folder), "float32", freeze_vision=way) for way in (True, False))
    reference, other = (load_policy(str(tiny_folder), "float32") for _ in range(2))
    share_frozen_tower(frozen, reference)
    share_frozen_tower(trained, other)
    assert reference.model.visual is frozen.model.visual
    assert other.model.visual is not trained.model.visual


def test_chunks_do_not_show(policies, prompts, banned, monkeypatch) -> None:
    monkeypatch.setitem(token_logprobs.CHUNK_TOKENS, "cpu", 3)
    assert_equal_to_separate_sequences(policies["full"], Groups(prompts, [("text", [5, 4])], seed=0), banned)
