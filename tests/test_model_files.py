"""A model that cannot be used is told by its files, in one line, whichever command meets it."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from lmm_r1.cli.composition import compose_config, plain
from lmm_r1.cli.inputs import check_evaluation_inputs, check_planned_model, check_training_inputs
from lmm_r1.cli.paths import register_resolvers
from lmm_r1.errors import UserError
from lmm_r1.model_files import check_model_folder

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"


def edited(name: str, **changes) -> Callable[[Path], object]:
    """Keys of a JSON file with other values; None takes a key away."""

    def edit(folder: Path) -> None:
        content = json.loads((folder / name).read_text()) | changes
        (folder / name).write_text(json.dumps({key: value for key, value in content.items() if value is not None}))

    return edit


def without(*names: str) -> Callable[[Path], object]:
    return lambda folder: [(folder / name).unlink() for name in names]


def holding(name: str, content: bytes | str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def cut(name: str, last: int) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-last])


def weights(change: Callable[[dict[str, np.ndarray]], object]) -> Callable[[Path], object]:
    def rewrite(folder: Path) -> None:
        tensors = load_file(folder / WEIGHTS)
        change(tensors)
        save_file(tensors, folder / WEIGHTS, {"format": "pt"})

    return rewrite


def sharded(folder: Path) -> None:
    tensors = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    names = {"a.safetensors": list(tensors)[::2], "b.safetensors": list(tensors)[1::2]}
    for file, part in names.items():
        save_file({name: tensors[name] for name in part}, folder / file, {"format": "pt"})
    index = {"weight_map": {name: file for file, part in names.items() for name in part}}
    (folder / INDEX).write_text(json.dumps(index))


def in_turn(*changes: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda folder: [change(folder) for change in changes]


def adapter_alone(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "Qwen/Qwen2.5-VL-3B-Instruct"}')


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 7\n"

FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a text model": (
        edited("config.json", model_type="qwen2", architectures=["Qwen2ForCausalLM"]),
        "holds a qwen2 (Qwen2",
    ),
    "a Llama": (edited("config.json", model_type="llama"), "holds a llama"),
    "the model before": (edited("config.json", model_type="qwen2_vl"), "holds a qwen2_vl"),
    "the model after": (edited("config.json", model_type="qwen3_vl"), "holds a qwen3_vl"),
    "an unknown model": (edited("config.json", model_type="foo"), "holds a foo"),
    "a model without a type": (edited("config.json", model_type=None), "model of no named type"),
    "no config": (without("config.json"), "without config.json"),
    "an adapter": (adapter_alone, "an adapter for Qwen/Qwen2.5-VL-3B-Instruct"),
    "a damaged config": (cut("config.json", 100), "config.json is damaged"),
    "a list for a config": (holding("config.json", "[]"), "config.json is no JSON object"),
    "a config without sizes": (holding("config.json", '{"model_type": "qwen2_5_vl"}'), "lacks num_hidden_layers"),
    "a config with text for sizes": (
        edited("config.json", text_config={"hidden_size": "x"}),
        "lacks num_hidden_layers",
    ),
    "no weights": (without(WEIGHTS), "has no weights"),
    "truncated weights": (cut(WEIGHTS, 1000), "model.safetensors is damaged"),
    "empty weights": (holding(WEIGHTS, b""), "model.safetensors is damaged"),
    "a pointer of git-lfs": (holding(WEIGHTS, LFS), "git lfs pull"),
    "a missing shard": (in_turn(sharded, without("b.safetensors")), "such as b.safetensors"),
    "a truncated shard": (in_turn(sharded, cut("a.safetensors", 9)), "a.safetensors is damaged"),
    "an index that is damaged": (in_turn(sharded, cut(INDEX, 9)), f"{INDEX} is damaged"),
    "an index of nothing": (in_turn(sharded, holding(INDEX, '{"weight_map": []}')), "has no weights"),
    "a missing layer": (
        weights(lambda tensors: [tensors.pop(name) for name in list(tensors) if ".layers.1." in name]),
        "its weights lack layers.1",
    ),
    "no vision tower": (
        weights(lambda tensors: [tensors.pop(name) for name in list(tensors) if "visual" in name]),
        "its weights lack patch_embed",
    ),
    "another vocabulary": (
        weights(
            lambda tensors: tensors.update({name: tensors[name][:-1] for name in tensors if "embed_tokens" in name})
        ),
        "weights are of another model",
    ),
    "damaged weights of torch": (in_turn(without(WEIGHTS), holding("pytorch_model.bin", "PK")), "pytorch_model.bin is"),
    "no tokenizer": (without("tokenizer.json"), "has no tokenizer.json"),
    "a damaged tokenizer": (cut("tokenizer.json", 999), "tokenizer.json is damaged"),
    "no image processor": (without("processor_config.json"), "has no preprocessor_config.json"),
    "a processor without pictures": (
        edited("processor_config.json", image_processor=None),
        "has no preprocessor_config",
    ),
    "another image processor": (
        edited("processor_config.json", image_processor={"image_processor_type": "CLIPImageProcessor"}),
        "cuts pictures by CLIPImageProcessor",
    ),
    "no chat template": (without("chat_template.jinja"), "has no chat template"),
}


@pytest.fixture
def model(repository, tmp_path) -> Path:
    return Path(shutil.copytree(repository / "models" / "tiny", tmp_path / "model"))


@pytest.fixture(scope="module")
def composed() -> Callable[[str, Path, str | None], dict]:
    register_resolvers()
    configs = {name: plain(compose_config(name, ["model.path=nowhere"])) for name in ("train", "eval")}

    def config(name: str, path: Path, init_from: str | None = None) -> dict:
        changed = copy.deepcopy(configs[name])
        changed["model"]["path"] = str(path)
        return changed | ({"init_from": init_from} if name == "train" else {})

    return config


@pytest.mark.parametrize("fault", FAULTS)
def test_a_model_that_cannot_be_used_is_one_line_for_every_command(
    model: Path, composed, repository, fault: str
) -> None:
    harm, said = FAULTS[fault]
    harm(model)
    for check, named in (
        (lambda: check_evaluation_inputs(composed("eval", model)), f"model.path={model}"),
        (lambda: check_training_inputs(composed("train", model)), f"model.path={model}"),
        (
            lambda: check_training_inputs(composed("train", repository / "models/tiny", str(model))),
            f"init_from={model}",
        ),
    ):
        with pytest.raises(UserError) as caught:
            check()
        message = str(caught.value)
        assert message.startswith(named) and "\n" not in message
        assert said in message or (fault == "no config" and "neither a run's folder nor" in message)


def test_a_finished_runs_export_is_checked_as_its_model(model: Path, composed, tmp_path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "summary.json").write_text("{}")
    model.rename(run / "export")
    check_training_inputs(composed("train", Path("nowhere"), str(run)))
    (run / "export" / WEIGHTS).unlink()
    with pytest.raises(UserError, match=f"init_from={run} has no weights"):
        check_training_inputs(composed("train", Path("nowhere"), str(run)))


@pytest.mark.parametrize("fault", ["a Llama", "no config", "an adapter", "a damaged config", "a config without sizes"])
def test_a_plan_asks_for_the_config_alone(model: Path, fault: str) -> None:
    (model / WEIGHTS).unlink()
    check_planned_model(str(model), "model.path=x")
    (model / WEIGHTS).write_bytes(b"")
    FAULTS[fault][0](model)
    with pytest.raises(UserError, match=r"model\.path=x"):
        check_planned_model(str(model), "model.path=x")


def as_published(folder: Path) -> None:
    """The layout of transformers 4, in which Qwen2.5-VL is published."""
    config = json.loads((folder / "config.json").read_text())
    text = config.pop("text_config")
    (folder / "config.json").write_text(json.dumps({**text, **config, "model_type": "qwen2_5_vl"}))
    processor = json.loads((folder / "processor_config.json").read_text())
    (folder / "processor_config.json").unlink()
    (folder / "preprocessor_config.json").write_text(json.dumps(processor["image_processor"]))
    template = (folder / "chat_template.jinja").read_text()
    (folder / "chat_template.jinja").unlink()
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    sharded(folder)


@pytest.mark.parametrize(
    "layout", [lambda folder: None, sharded, as_published], ids=["shipped", "sharded", "published"]
)
def test_a_whole_model_passes_in_every_layout(model: Path, layout) -> None:
    layout(model)
    check_model_folder(model, "x")


def test_both_names_of_weights_are_known(model: Path) -> None:
    names = [(".language_model.", "."), ("model.visual.", "visual.")]

    def renamed(tensors: dict[str, np.ndarray]) -> None:
        for name in list(tensors):
            other = name
            for new, old in names:
                other = other.replace(new, old)
            tensors[other] = tensors.pop(name)

    weights(renamed)(model)
    check_model_folder(model, "x")
