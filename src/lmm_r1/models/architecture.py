"""The sizes of a Qwen2.5-VL, from its config.json alone: no weights are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from lmm_r1.errors import UserError
from lmm_r1.model_files import read_model_config


@dataclass(frozen=True)
class TextSizes:
    """The language model."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    key_value_heads: int
    vocabulary: int
    tied_head: bool
    """Whether the output head is the embedding, transposed."""

    @property
    def head_size(self) -> int:
        return self.hidden // self.heads

    @property
    def key_value(self) -> int:
        """Width of a token's keys in a layer, and of its values."""
        return self.key_value_heads * self.head_size


@dataclass(frozen=True)
class VisionSizes:
    """The vision tower with its merger."""

    layers: int
    hidden: int
    intermediate: int
    output: int
    patch_volume: int
    """Numbers in a patch: channels · frames · side²."""
    merged_patches: int
    """Patches in one visual token of the language model."""
    window: int
    """Side of an attention window, in patches."""
    full_layers: int
    """Layers whose attention sees the whole image."""
    patch_side: int
    """In pixels."""


@dataclass(frozen=True)
class Architecture:
    """Made by `architecture_of`; read by `models.costs`."""

    text: TextSizes
    vision: VisionSizes


# The published config.json of each, in the layout of transformers 4, for machines without network.
# https://huggingface.co/Qwen/Qwen2.5-VL-3B-Instruct/blob/main/config.json, and 7B likewise.
_VISION = {
    "depth": 32,
    "hidden_size": 1280,
    "intermediate_size": 3420,
    "patch_size": 14,
    "temporal_patch_size": 2,
    "spatial_merge_size": 2,
    "window_size": 112,
    "fullatt_block_indexes": [7, 15, 23, 31],
}
PUBLISHED: Mapping[str, Mapping[str, Any]] = {
    "Qwen/Qwen2.5-VL-3B-Instruct": {
        "model_type": "qwen2_5_vl",
        "hidden_size": 2048,
        "intermediate_size": 11008,
        "num_hidden_layers": 36,
        "num_attention_heads": 16,
        "num_key_value_heads": 2,
        "vocab_size": 151936,
        "tie_word_embeddings": True,
        "vision_config": {**_VISION, "out_hidden_size": 2048},
    },
    "Qwen/Qwen2.5-VL-7B-Instruct": {
        "model_type": "qwen2_5_vl",
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152064,
        "tie_word_embeddings": False,
        "vision_config": {**_VISION, "out_hidden_size": 3584},
    },
}


def architecture_of(path: str) -> Architecture:
    """The sizes of the model in a folder, or of a hub id: those published here, else from its config.json alone.

    Raises:
        UserError: no config.json can be had, or it is of another kind of model.
    """
    return parse_config(_config(path), path)


def parse_config(config: Mapping[str, Any], path: str) -> Architecture:
    """Args: `config`: a config.json of transformers 5, or of 4, where the language model's sizes stand at the top."""
    try:
        return _sizes(config)
    except (KeyError, TypeError, ZeroDivisionError) as error:
        raise UserError(
            f"model.path={path}: its config.json says nothing usable of {error}; copy the file of the right model"
        ) from error


def _sizes(config: Mapping[str, Any]) -> Architecture:
    text, vision = config.get("text_config", config), config["vision_config"]
    return Architecture(
        text=TextSizes(
            layers=text["num_hidden_layers"],
            hidden=text["hidden_size"],
            intermediate=text["intermediate_size"],
            heads=text["num_attention_heads"],
            key_value_heads=text["num_key_value_heads"],
            vocabulary=text["vocab_size"],
            tied_head=config.get("tie_word_embeddings", text.get("tie_word_embeddings", False)),
        ),
        vision=VisionSizes(
            layers=vision["depth"],
            hidden=vision["hidden_size"],
            intermediate=vision["intermediate_size"],
            output=vision["out_hidden_size"],
            # Older files call the channels by another name, and there are always three.
            patch_volume=3 * vision["temporal_patch_size"] * vision["patch_size"] ** 2,
            merged_patches=vision["spatial_merge_size"] ** 2,
            window=vision["window_size"] // vision["patch_size"],
            full_layers=len(vision["fullatt_block_indexes"]),
            patch_side=vision["patch_size"],
        ),
    )


def _config(path: str) -> Mapping[str, Any]:
    folder = Path(path).expanduser()
    if not (folder / "config.json").is_file() and path in PUBLISHED:
        return PUBLISHED[path]
    if not folder.is_dir():
        folder = _downloaded(path)
    return read_model_config(folder, f"model.path={path}")


def _downloaded(hub_id: str) -> Path:
    try:
        return Path(hf_hub_download(hub_id, "config.json")).parent
    except (OSError, HfHubHTTPError, HFValidationError) as error:
        raise UserError(
            f"model.path={hub_id}: its config.json is neither here nor to be had from the Hugging Face hub; give a "
            f"model folder, or one of {', '.join(PUBLISHED)}"
        ) from error
