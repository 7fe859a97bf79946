"""Whether a folder holds a Qwen2.5-VL that can be loaded, told by its files before any of them is loaded.

torch and transformers are not imported: entry points ask here first, and `models.loading` for what came from the hub.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from lmm_r1.errors import UserError

MODEL_TYPE = "qwen2_5_vl"
NEEDED = "needed is a Qwen2.5-VL in Hugging Face format, such as Qwen/Qwen2.5-VL-3B-Instruct or an export of train.py"

SIZES = ("num_hidden_layers", "hidden_size", "vocab_size")
"""What the language model's part of config.json must say, as whole numbers."""
IMAGE_PROCESSORS = ("Qwen2VLImageProcessor", "Qwen2_5_VLImageProcessor")
"""How the names of the classes begin that cut a picture as this model wants it."""
SMALL_FILES = (
    "model.safetensors.index.json",
    "pytorch_model.bin.index.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "preprocessor_config.json",
    "processor_config.json",
    "chat_template.json",
)
LFS_POINTER = b"version https://git-lfs"


def check_model_folder(folder: Path, named: str) -> None:
    """See that config, weights, tokenizer, image processor and chat template are there, whole, and of this model.

    Args:
        named: what the user calls the folder, e.g. `model.path=models/tiny`; every message begins with it.

    Raises:
        UserError: for the first that is not.
    """
    config = read_model_config(folder, named)
    found = {name: _read_json(folder / name, named) for name in SMALL_FILES if (folder / name).is_file()}
    _check_weights(folder, config, found, named)
    if "tokenizer.json" not in found and not ("vocab.json" in found and (folder / "merges.txt").is_file()):
        raise UserError(
            f"{named} has no tokenizer.json, nor vocab.json with merges.txt; copy the tokenizer of its base"
        )
    pictures = found.get("preprocessor_config.json") or _inner(found.get("processor_config.json"), "image_processor")
    if not pictures:
        raise UserError(
            f"{named} has no preprocessor_config.json, by which pictures are cut; copy that of its base model"
        )
    kind = str(pictures.get("image_processor_type", IMAGE_PROCESSORS[0]))
    if not kind.startswith(IMAGE_PROCESSORS):
        raise UserError(
            f"{named} cuts pictures by {kind}, not by {IMAGE_PROCESSORS[0]}; copy the file of its base model"
        )
    templates = any(file.get("chat_template") for file in found.values())  # versions of transformers differ in which
    if not templates and not (folder / "chat_template.jinja").is_file():
        raise UserError(f"{named} has no chat template (chat_template.jinja); copy that of its base model")


def read_model_config(folder: Path, named: str) -> Mapping[str, Any]:
    """The folder's config.json, of a Qwen2.5-VL with its sizes.

    Raises:
        UserError: there is none, it cannot be read, or it is another model's.
    """
    path = folder / "config.json"
    if not path.is_file():
        adapter = folder / "adapter_config.json"
        if adapter.is_file():
            base = _read_json(adapter, named).get("base_model_name_or_path") or "a model that it does not name"
            raise UserError(
                f"{named} holds an adapter for {base}, and no config.json; merge it into that model (merge_and_unload "
                "of peft), save model and processor, and give that folder"
            )
        raise UserError(f"{named}: a folder without config.json, so no Hugging Face model; {NEEDED}")
    config = _read_json(path, named)
    kind = config.get("model_type")
    if kind != MODEL_TYPE:
        classes = ", ".join(map(str, config.get("architectures") or ()))
        raise UserError(
            f"{named} holds a {kind or 'model of no named type'}{f' ({classes})' if classes else ''}; {NEEDED}"
        )
    text = _inner(config, "text_config") or config
    absent = [key for key in SIZES if not isinstance(text.get(key), int)]
    if not isinstance(_inner(config, "vision_config").get("depth"), int):
        absent.append("vision_config.depth")
    if absent:
        raise UserError(f"{named}: its config.json lacks {', '.join(absent)}; copy the file of the model that it is of")
    return config


def _check_weights(folder: Path, config: Mapping[str, Any], found: Mapping[str, Any], named: str) -> None:
    """Only headers are read: a file that is cut short, or lacks a layer, is noticed, and a changed number is not."""
    if (folder / "model.safetensors").is_file():
        files = ["model.safetensors"]
    elif "model.safetensors.index.json" in found:
        files = sorted(set(_inner(found["model.safetensors.index.json"], "weight_map").values()))
    else:
        files = _older_weights(folder, found, named)
        if files:
            return
    if not files:
        raise UserError(f"{named} has no weights (model.safetensors, or its index with shards); {NEEDED}")
    absent = [name for name in files if not (folder / name).is_file()]
    if absent:
        raise UserError(
            f"{named} lacks {len(absent)} of the {len(files)} files of weights that its index names, such as "
            f"{absent[0]}; fetch them"
        )
    shapes = {name: shape for file in files for name, shape in _shapes(folder / file, named)}
    text = _inner(config, "text_config") or config
    embedding = next((shape for name, shape in shapes.items() if name.endswith("embed_tokens.weight")), None)
    if embedding is not None and embedding != [text["vocab_size"], text["hidden_size"]]:
        raise UserError(
            f"{named}: its weights are of another model than its config.json: an embedding of "
            f"{' × '.join(map(str, embedding))}, not of {text['vocab_size']} × {text['hidden_size']}"
        )
    wanted = ["embed_tokens.", "patch_embed.", "merger."]
    wanted += [f"layers.{layer}." for layer in range(text["num_hidden_layers"])]
    wanted += [f"blocks.{block}." for block in range(config["vision_config"]["depth"])]
    if not config.get("tie_word_embeddings", text.get("tie_word_embeddings", False)):
        wanted.append("lm_head.")
    lost = [part for part in wanted if not any(f".{part}" in f".{name}" for name in shapes)]
    if lost:
        raise UserError(
            f"{named}: its weights lack {', '.join(part.rstrip('.') for part in lost[:3])}; fetch them whole"
        )


def _older_weights(folder: Path, found: Mapping[str, Any], named: str) -> list[str]:
    """torch's own files, which are archives; what is in them is not looked at."""
    index = _inner(found.get("pytorch_model.bin.index.json"), "weight_map")
    files = sorted(set(index.values())) or [name for name in ("pytorch_model.bin",) if (folder / name).is_file()]
    for name in files:
        if not (folder / name).is_file() or not zipfile.is_zipfile(folder / name):
            raise UserError(f"{named}: {name} is missing or damaged; fetch it anew")
    return files


def _shapes(path: Path, named: str) -> Iterator[tuple[str, list[int]]]:
    try:
        with safe_open(path, framework="np") as weights:
            for name in weights.keys():  # noqa: SIM118 — it is no mapping
                yield name, weights.get_slice(name).get_shape()
    except (SafetensorError, OSError) as error:
        raise UserError(f"{named}: {path.name} is damaged ({_lfs(path) or error}); fetch it anew") from error


def _read_json(path: Path, named: str) -> Mapping[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, OSError) as error:
        raise UserError(f"{named}: {path.name} is damaged ({_lfs(path) or error}); fetch it anew") from error
    if not isinstance(value, Mapping):
        raise UserError(f"{named}: {path.name} is no JSON object; fetch it anew")
    return value


def _inner(outer: Mapping[str, Any] | None, key: str) -> Mapping[str, Any]:
    """The map under a key, empty where there is none."""
    value = (outer or {}).get(key)
    return value if isinstance(value, Mapping) else {}


def _lfs(path: Path) -> str | None:
    """Why, where git has left a pointer in place of the file."""
    try:
        with path.open("rb") as file:
            pointer = file.read(len(LFS_POINTER)) == LFS_POINTER
    except OSError:
        return None
    return "a pointer of git-lfs in its place: git lfs pull" if pointer else None
