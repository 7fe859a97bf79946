"""Policies and processors: from a folder or the hub into memory, and back into a folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from jinja2 import TemplateError
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoProcessor,
    PretrainedConfig,
    ProcessorMixin,
    Qwen2_5_VLForConditionalGeneration,
)

from lmm_r1.atomic_files import replacing
from lmm_r1.errors import UserError
from lmm_r1.model_files import check_model_folder
from lmm_r1.models.finite import require_finite
from lmm_r1.models.prompts import IMAGE_TOKEN
from lmm_r1.models.shared_prefix import SHARED_PREFIX_FLEX, SHARED_PREFIX_SDPA

ATTENTION: Mapping[str, str] = {"sdpa": SHARED_PREFIX_SDPA, "flex_attention": SHARED_PREFIX_FLEX}
"""What `model.attention` calls them, and transformers. Either lets completions share a prompt."""
DTYPES: Mapping[str, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class LoraSettings:
    """Low-rank adapters W + (alpha / rank)·B·A on frozen weights (LoRA, arXiv 2106.09685)."""

    rank: int
    alpha: float
    dropout: float
    target_modules: tuple[str, ...]
    """Names of linear layers, e.g. `("q_proj", "v_proj")`; in the vision tower too, unless that is frozen.

    The tower's MLPs have the language model's `gate_proj`, `up_proj` and `down_proj`; its attention is `qkv`, `proj`.
    """


def load_policy(
    path: str,
    dtype: str,
    *,
    attention: str = "sdpa",
    freeze_vision: bool = False,
    lora: LoraSettings | None = None,
    gradient_checkpointing: bool = False,
) -> Qwen2_5_VLForConditionalGeneration | PeftModel:
    """A Qwen2.5-VL on the CPU in training mode, with its weights in `dtype` ("float32" or "bfloat16").

    Under LoRA the reference policy is the same model inside `with policy.disable_adapter():`.
    Raises `UserError` for whatever the user can mend: the path, the architecture, the dtype, the target modules.
    """
    if dtype not in DTYPES:
        raise UserError(f"model.dtype={dtype} is not one of {', '.join(DTYPES)}")
    # The vision tower cuts images into windows of many sizes, each of which FlexAttention would compile anew.
    model = _with_weights(path, DTYPES[dtype], {"text_config": ATTENTION[attention], "vision_config": "sdpa"})
    if freeze_vision:
        model.model.visual.requires_grad_(False)
    if gradient_checkpointing:
        model.gradient_checkpointing_enable()
    policy = model if lora is None else _with_adapters(model, lora, freeze_vision)
    return policy.train()  # transformers loads for inference, where checkpointing and dropout are switched off


def load_config(path: str) -> PretrainedConfig:
    """The configuration of a model folder or hub id."""
    return AutoConfig.from_pretrained(local_folder(path))


def load_processor(path: str, min_pixels: int | None, max_pixels: int | None) -> ProcessorMixin:
    """The processor of a model folder or hub id, its images bounded to between `min_pixels` and `max_pixels`.

    None keeps the folder's own bound. Sampler and trainer must cut an image into the same patches: hand the engine
    `pixel_bounds(processor)`. Raises `UserError` for a missing folder, for bounds that exclude each other, and for a
    chat template or a tokenizer that has no place for pictures.
    """
    folder = local_folder(path)
    processor = AutoProcessor.from_pretrained(folder)
    _check_place_for_pictures(processor, folder, path)
    size = processor.image_processor.size
    if min_pixels is not None:
        size.shortest_edge = min_pixels
    if max_pixels is not None:
        size.longest_edge = max_pixels
    if size.shortest_edge > size.longest_edge:
        raise UserError(
            f"model.min_pixels={size.shortest_edge} is more than model.max_pixels={size.longest_edge}; "
            "raise the one or lower the other"
        )
    return processor


def pixel_bounds(processor: ProcessorMixin) -> dict[str, int]:
    """The least and the greatest number of pixels of a resized image, as vLLM wants it: `mm_processor_kwargs["size"]`.

    Transformers 5 calls these areas "edges".
    """
    size = processor.image_processor.size
    return {"shortest_edge": size.shortest_edge, "longest_edge": size.longest_edge}


def local_folder(path: str) -> Path:
    """Where the model's files lie: `path` itself if it is a folder, else the download of the hub id `path`.

    Raises `UserError` where they are not there, or not a whole Qwen2.5-VL's.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        folder = _download(path)
    check_model_folder(folder, f"model.path={path}")
    return folder


def _with_weights(path: str, dtype: torch.dtype, attention: Mapping[str, str]) -> Qwen2_5_VLForConditionalGeneration:
    """The model, every weight of it from the file: what is missing there transformers would draw at random."""
    model, found = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        local_folder(path),
        dtype=dtype,
        attn_implementation=dict(attention),
        ignore_mismatched_sizes=True,
        output_loading_info=True,
    )
    lost = sorted(found["missing_keys"]) + sorted(name for name, *_ in found["mismatched_keys"])
    if lost:
        raise UserError(
            f"model.path={path}: {len(lost)} of its weights are missing or of another shape than its config.json says, "
            f"such as {lost[0]}; fetch weights and config.json of one model"
        )
    return model


def _check_place_for_pictures(processor: ProcessorMixin, folder: Path, path: str) -> None:
    cure = "copy chat template and tokenizer of its base model"
    try:
        picture = [{"role": "user", "content": [{"type": "image"}]}]
        text = processor.apply_chat_template(picture, tokenize=False, add_generation_prompt=True)
    except (TemplateError, TypeError, ValueError) as error:
        raise UserError(f"model.path={path}: its chat template fails ({error}); {cure}") from error
    if text.count(IMAGE_TOKEN) != 1:
        raise UserError(f"model.path={path}: its chat template writes no {IMAGE_TOKEN} for a picture; {cure}")
    expected = AutoConfig.from_pretrained(folder).image_token_id
    found = processor.tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
    if found != expected:
        raise UserError(
            f"model.path={path}: to its tokenizer {IMAGE_TOKEN} is {found}, to its config.json {expected}; {cure}"
        )


def _download(hub_id: str) -> Path:
    cure = "give an existing model folder, or the id of a model on the Hugging Face hub"
    try:
        return Path(snapshot_download(hub_id, ignore_patterns=["*.bin", "*.pth"]))
    except HFValidationError as error:
        raise UserError(f"model.path={hub_id} does not exist; {cure}") from error
    except (OSError, HfHubHTTPError) as error:
        raise UserError(
            f"model.path={hub_id} is neither a folder here nor a model that the Hugging Face hub could give; {cure}; "
            f"without network, run `hf download {hub_id} --local-dir FOLDER` elsewhere and set model.path=FOLDER"
        ) from error


def _with_adapters(model: Qwen2_5_VLForConditionalGeneration, lora: LoraSettings, freeze_vision: bool) -> PeftModel:
    settings = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.target_modules),
        # Language and vision share names such as gate_proj; adapters there would thaw what was to stay frozen.
        exclude_modules=r".*\.visual\..*" if freeze_vision else None,
    )
    try:
        # Adapters in float32 on weights of any kind: in bfloat16 most of their steps would be lost to rounding.
        return get_peft_model(model, settings, autocast_adapter_dtype=True)
    except ValueError as error:
        raise UserError(
            f"model.lora.target_modules={list(lora.target_modules)} names no layer of this model; "
            "try q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj"
        ) from error


def merged_state_dict(model: torch.nn.Module) -> Mapping[str, Tensor]:
    """The weights under Hugging Face's names for the plain model, adapters merged in and the tied head included.

    The model is not changed. A weight with an adapter is merged anew each time it is read, so that whoever reads one
    after the other holds one merged copy at a time. All others are the live weights, not copies: use them before the
    next optimiser step. A tied `lm_head.weight` is listed although it is the embedding: vLLM keeps its own copy of it.
    """
    return _MergedWeights(model) if isinstance(model, PeftModel) else model.state_dict()


class _MergedWeights(Mapping[str, Tensor]):
    def __init__(self, model: PeftModel) -> None:
        plain, self._adapter = model.get_base_model(), model.active_adapter
        self._weights = {
            name.replace(".base_layer.", "."): tensor
            for name, tensor in plain.state_dict().items()
            if ".lora_" not in name
        }
        self.adapted = {
            f"{name}.weight": layer for name, layer in plain.named_modules() if isinstance(layer, LoraLayer)
        }
        """The layers with an adapter, by the name of their weight."""

    @torch.no_grad()
    def __getitem__(self, name: str) -> Tensor:
        weight = self._weights[name]
        if name not in self.adapted:
            return weight
        update = self.adapted[name].get_delta_weight(self._adapter)
        return (weight.float() + update.float()).to(weight.dtype)

    def __iter__(self) -> Iterator[str]:
        return iter(self._weights)

    def __len__(self) -> int:
        return len(self._weights)


def save_export(model: torch.nn.Module, processor: ProcessorMixin, folder: Path) -> None:
    """Write a folder that transformers and vLLM load without this project: merged weights in the model's dtype,
    config, generation settings, tokenizer, chat template and processor. Replaces a folder that is there as a whole.

    Raises UserError for weights that are not finite, and then leaves the folder as it is.
    """
    weights = merged_state_dict(model)
    if isinstance(weights, _MergedWeights):
        model = model.get_base_model()
        # On a GPU the merged copies of all layers together may find no room.
        weights = {name: weight.cpu() if name in weights.adapted else weight for name, weight in weights.items()}
    require_finite(weights, str(folder))
    with replacing(folder) as partial:
        model.save_pretrained(partial, state_dict=weights)
        processor.save_pretrained(partial)
