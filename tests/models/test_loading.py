"""What is loaded is what was saved; what cannot be loaded says why."""

from __future__ import annotations

import json
import shutil
import socket
import weakref
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file

from lmm_r1.cli.composition import compose_config, plain
from lmm_r1.cli.paths import register_resolvers
from lmm_r1.errors import UserError
from lmm_r1.models.loading import (
    LoraSettings,
    load_policy,
    load_processor,
    merged_state_dict,
    pixel_bounds,
    save_export,
)
from lmm_r1.models.prompts import render_prompt

LORA = LoraSettings(rank=4, alpha=8.0, dropout=0.1, target_modules=("q_proj", "v_proj", "down_proj", "qkv"))


@pytest.fixture
def adapted(tiny_folder: Path):
    """A policy whose adapters do something: LoRA starts with B = 0."""
    model = load_policy(str(tiny_folder), "float32", lora=LORA)
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return model


@torch.no_grad()
def logits_of(model, processor, problem) -> torch.Tensor:
    batch = processor(text=[render_prompt(processor, problem, None)], images=list(problem.images), return_tensors="pt")
    return model.eval()(**batch).logits


def test_merged_weights_are_those_of_peft(adapted) -> None:
    merged = dict(merged_state_dict(adapted))
    expected = adapted.merge_and_unload().state_dict()
    assert merged.keys() == expected.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(merged[name], weight, atol=1e-6, rtol=0, msg=name)


def test_merging_changes_nothing_in_the_model(adapted) -> None:
    before = {name: tensor.clone() for name, tensor in adapted.state_dict().items()}
    merged = dict(merged_state_dict(adapted))
    assert all(torch.equal(before[name], tensor) for name, tensor in adapted.state_dict().items())
    assert not any(tensor.requires_grad for tensor in merged.values())


def test_no_two_merged_copies_are_in_memory_at_once(adapted) -> None:
    live = {tensor.data_ptr() for tensor in adapted.state_dict().values()}
    copies: list[weakref.ref] = []
    for weight in merged_state_dict(adapted).values():
        if weight.data_ptr() not in live:
            assert all(copy() is None for copy in copies)
            copies.append(weakref.ref(weight))
    assert len(copies) > 10


def test_names_and_shapes_are_the_plain_models_with_and_without_adapters(policy, adapted) -> None:
    plain = {name: tensor.shape for name, tensor in policy.state_dict().items()}
    assert "lm_head.weight" in plain
    for model in (policy, adapted):
        assert {name: tensor.shape for name, tensor in merged_state_dict(model).items()} == plain


@pytest.mark.parametrize("kind", ["policy", "adapted"])
def test_an_export_gives_the_same_logits(kind: str, request, processor, image_problem, tmp_path: Path) -> None:
    model = request.getfixturevalue(kind)
    save_export(model, processor, tmp_path / "export")
    exported = load_policy(str(tmp_path / "export"), "float32")
    reloaded = load_processor(str(tmp_path / "export"), None, None)
    torch.testing.assert_close(
        logits_of(exported, reloaded, image_problem), logits_of(model, processor, image_problem), atol=1e-5, rtol=0
    )


def test_disabling_the_adapter_gives_the_reference(policy, adapted, processor, image_problem) -> None:
    reference = logits_of(policy, processor, image_problem)
    assert (logits_of(adapted, processor, image_problem) - reference).abs().max() > 1e-3
    with adapted.disable_adapter():
        assert torch.equal(logits_of(adapted, processor, image_problem), reference)


def test_the_export_has_the_models_dtype(tiny_folder: Path, processor, tmp_path: Path) -> None:
    save_export(load_policy(str(tiny_folder), "bfloat16"), processor, tmp_path / "export")
    assert json.loads((tmp_path / "export" / "config.json").read_text())["dtype"] == "bfloat16"
    assert (tmp_path / "export" / "model.safetensors").stat().st_size < 5e6


@pytest.mark.parametrize("kind", ["policy", "adapted"])
@pytest.mark.parametrize("value", [torch.nan, -torch.inf])
def test_weights_that_are_no_numbers_are_not_exported_and_an_earlier_export_stays(
    kind: str, value: float, request, processor, tmp_path: Path
) -> None:
    model = request.getfixturevalue(kind)
    save_export(model, processor, tmp_path / "export")
    before = (tmp_path / "export" / "model.safetensors").read_bytes()
    with torch.no_grad():
        last = [parameter for parameter in model.parameters() if parameter.requires_grad][-1]
        last.view(-1)[-1] = value
    with pytest.raises(UserError, match=r"export is not written: .*NaN or infinity \(first in .*weight\)"):
        save_export(model, processor, tmp_path / "export")
    assert (tmp_path / "export" / "model.safetensors").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_frozen_vision_tower_gets_no_gradient(
    checkpointing: bool, tiny_folder: Path, processor, image_problem
) -> None:
    model = load_policy(str(tiny_folder), "float32", freeze_vision=True, gradient_checkpointing=checkpointing)
    batch = processor(
        text=[render_prompt(processor, image_problem, None)], images=list(image_problem.images), return_tensors="pt"
    )
    model(**batch).logits.sum().backward()
    assert all(parameter.grad is None for parameter in model.model.visual.parameters())
    assert all(parameter.grad is not None for parameter in model.model.language_model.parameters())


def test_gradient_checkpointing_changes_no_gradient(tiny_folder: Path, processor, image_problem) -> None:
    batch = processor(
        text=[render_prompt(processor, image_problem, None)], images=list(image_problem.images), return_tensors="pt"
    )
    gradients = []
    for checkpointing in (False, True):
        model = load_policy(str(tiny_folder), "float32", gradient_checkpointing=checkpointing)
        model(**batch, use_cache=False).logits.logsumexp(-1).sum().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
        assert model.is_gradient_checkpointing == checkpointing
    for kept, checkpointed in zip(*gradients, strict=True):
        torch.testing.assert_close(kept, checkpointed)


def test_only_adapters_learn_and_none_in_a_frozen_vision_tower(tiny_folder: Path) -> None:
    lora = LoraSettings(rank=2, alpha=4.0, dropout=0.0, target_modules=("q_proj", "gate_proj"))
    for freeze_vision in (False, True):
        model = load_policy(str(tiny_folder), "float32", freeze_vision=freeze_vision, lora=lora)
        learning = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
        assert all(".lora_" in name for name in learning)
        assert any("language_model" in name for name in learning)
        assert any(".visual." in name for name in learning) != freeze_vision


@pytest.mark.parametrize("option", ["tiny_lora", "qwen2_5_vl_3b_lora"])
def test_adapters_are_where_the_configuration_says(tiny_folder: Path, option: str) -> None:
    """On all of the language model's projections and nowhere else."""
    register_resolvers()
    config = plain(compose_config("train", [f"model={option}", f"model.path={tiny_folder}"]))
    settings = instantiate(config["model"], _convert_="all")
    model = load_policy(str(tiny_folder), "float32", freeze_vision=settings.freeze_vision, lora=settings.lora)
    assert {name for name, module in model.get_base_model().named_modules() if isinstance(module, LoraLayer)} == {
        name
        for name, module in load_policy(str(tiny_folder), "float32").named_modules()
        if isinstance(module, torch.nn.Linear) and ".language_model." in name
    }


def test_the_policy_arrives_ready_to_train_in_its_dtype(tiny_folder: Path) -> None:
    model = load_policy(str(tiny_folder), "bfloat16")
    assert model.training
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}


def test_pixel_bounds_limit_the_patches_and_survive_an_export(
    tiny_folder: Path, policy, image_problem, tmp_path: Path
) -> None:
    processor = load_processor(str(tiny_folder), 4 * 28 * 28, 6 * 28 * 28)
    grids = processor.image_processor(images=list(image_problem.images), return_tensors="pt")["image_grid_thw"]
    assert ((grids.prod(-1) // 4) <= 6).all()
    save_export(policy, processor, tmp_path / "export")
    assert pixel_bounds(load_processor(str(tmp_path / "export"), None, None)) == pixel_bounds(processor)
    assert pixel_bounds(processor) == {"shortest_edge": 4 * 28 * 28, "longest_edge": 6 * 28 * 28}


def test_a_missing_model_is_the_users_error_without_asking_the_network(tmp_path: Path, monkeypatch) -> None:
    def no_network(*arguments: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    for path in (str(tmp_path / "nowhere"), "./nowhere", "nobody/no-such-model"):
        for load in (lambda p: load_policy(p, "float32"), lambda p: load_processor(p, None, None)):
            with pytest.raises(UserError, match=r"model\.path=") as caught:
                load(path)
            assert path in str(caught.value)
            assert "\n" not in str(caught.value)


def test_a_folder_without_a_model_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config\.json"):
        load_policy(str(tmp_path), "float32")


def test_another_architecture_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "qwen2"}')
    with pytest.raises(UserError, match="holds a qwen2"):
        load_policy(str(tmp_path), "float32")


@pytest.mark.parametrize("change", ["gone", "of another shape"])
def test_a_weight_that_the_file_does_not_give_is_not_drawn_at_random(tiny_folder: Path, tmp_path: Path, change) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "model"))
    tensors = load_file(folder / "model.safetensors")
    name = next(name for name in tensors if "q_proj.weight" in name)
    lost = tensors.pop(name)
    if change != "gone":
        tensors[name] = lost[:-1].clone()
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=r"1 of its weights are missing or of another shape.*q_proj\.weight"):
        load_policy(str(folder), "float32")


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{% for message in messages %}", "its chat template fails"),
        ("{% for message in messages %}{{ message.role }}{% endfor %}", "writes no <|image_pad|>"),
        ("{{ 'a' + messages }}", "its chat template fails"),
    ],
)
def test_a_chat_template_without_a_place_for_pictures_is_the_users_error(
    tiny_folder: Path, tmp_path: Path, template: str, said: str
) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "model"))
    (folder / "chat_template.jinja").write_text(template)
    with pytest.raises(UserError) as caught:
        load_processor(str(folder), None, None)
    assert said in str(caught.value)


def test_another_models_tokenizer_is_the_users_error(tiny_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"image_token_id": 7}))
    with pytest.raises(UserError, match="to its tokenizer"):
        load_processor(str(folder), None, None)


def test_wrong_settings_are_the_users_error(tiny_folder: Path) -> None:
    with pytest.raises(UserError, match=r"model\.dtype=float16"):
        load_policy(str(tiny_folder), "float16")
    with pytest.raises(UserError, match=r"model\.max_pixels=1000"):
        load_processor(str(tiny_folder), 2000, 1000)
    nowhere = LoraSettings(rank=4, alpha=8.0, dropout=0.0, target_modules=("no_such_layer",))
    with pytest.raises(UserError, match="no_such_layer"):
        load_policy(str(tiny_folder), "float32", lora=nowhere)
