"""What a Qwen2.5-VL costs: parameters, floating-point operations and bytes, as pure functions of its sizes.

An operation is a multiplication or an addition, so a product of matrices `[a, b]` and `[b, c]` costs 2·a·b·c. Matrix
products alone are counted. Attention is counted in full, causal or not (PaLM, arXiv 2204.02311, appendix B), which is
also what torch's counter does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lmm_r1.models.architecture import Architecture, TextSizes, VisionSizes

CHUNK_TOKENS = {"cpu": 256, "cuda": 2048}
"""Tokens whose logits `models.token_logprobs` holds at one time, by torch's type of device. On a CPU enough rows for a
full-speed product: 0.16 GB of float32 at 151,936 words. On a GPU each chunk's share is also added to the gradient of
the head in memory, 1.2 GB of float32 read and written: for 256 tokens that alone takes longer than their products."""

Grid = tuple[int, int, int]
"""An image's patches: frames, rows, columns; a row of `image_grid_thw`."""


@dataclass(frozen=True)
class Parameters:
    """How many numbers each part holds."""

    language: int
    """Embedding included."""
    vision: int
    head: int
    """0 where it is tied to the embedding."""

    @property
    def total(self) -> int:
        return self.language + self.vision + self.head


def parameters(model: Architecture) -> Parameters:
    text, vision = model.text, model.vision
    biases = text.hidden + 2 * text.key_value
    layer = _products_of_layer(text) + biases + 2 * text.hidden
    block = _products_of_block(vision) + 5 * vision.hidden + 2 * vision.intermediate + 2 * vision.hidden
    merged = vision.hidden * vision.merged_patches
    merger = vision.hidden + (merged + 1) * merged + (merged + 1) * vision.output
    return Parameters(
        language=text.vocabulary * text.hidden + text.layers * layer + text.hidden,
        vision=vision.patch_volume * vision.hidden + vision.layers * block + merger,
        head=0 if text.tied_head else text.vocabulary * text.hidden,
    )


def adapter_parameters(model: Architecture, rank: int, targets: Iterable[str], *, vision: bool) -> int:
    """Of low-rank adapters (LoRA, arXiv 2106.09685) on the linear layers called `targets`, as PEFT places them.

    Args: `vision`: also in the vision tower's blocks.
    """
    text, tower, names = model.text, model.vision, set(targets)
    of_text = {
        "q_proj": text.hidden + text.hidden,
        "k_proj": text.hidden + text.key_value,
        "v_proj": text.hidden + text.key_value,
        "o_proj": text.hidden + text.hidden,
        **dict.fromkeys(("gate_proj", "up_proj", "down_proj"), text.hidden + text.intermediate),
    }
    of_vision = {
        "qkv": 4 * tower.hidden,
        "proj": 2 * tower.hidden,
        **dict.fromkeys(("gate_proj", "up_proj", "down_proj"), tower.hidden + tower.intermediate),
    }
    widths = text.layers * sum(width for name, width in of_text.items() if name in names)
    if vision:
        widths += tower.layers * sum(width for name, width in of_vision.items() if name in names)
    return rank * widths


def language_flops(text: TextSizes, tokens: int, pairs: int) -> int:
    """One forward pass without the head.

    Args:
        pairs: of tokens that attention compares in a layer: N² for a sequence of N.
    """
    return text.layers * (2 * _products_of_layer(text) * tokens + 4 * text.hidden * pairs)


def head_flops(text: TextSizes, tokens: int) -> int:
    """The logits of `tokens` tokens."""
    return 2 * text.hidden * text.vocabulary * tokens


def vision_flops(vision: VisionSizes, images: Sequence[Grid]) -> int:
    """One forward pass of the vision tower and its merger."""
    patches = sum(frames * rows * columns for frames, rows, columns in images)
    whole = sum(frames * (rows * columns) ** 2 for frames, rows, columns in images)
    windowed = sum(
        frames * _squares(rows, vision.window) * _squares(columns, vision.window) for frames, rows, columns in images
    )
    merged = vision.hidden * vision.merged_patches
    products = vision.patch_volume * vision.hidden + vision.layers * _products_of_block(vision)
    merger = merged * (merged + vision.output)
    pairs = vision.full_layers * whole + (vision.layers - vision.full_layers) * windowed
    return 2 * products * patches + 2 * merger * patches // vision.merged_patches + 4 * vision.hidden * pairs


def key_value_bytes(text: TextSizes, bytes_each: int) -> int:
    """What one token leaves in the key-value cache."""
    return 2 * text.layers * text.key_value * bytes_each


def language_activation_bytes(text: TextSizes, tokens: int, bytes_each: int, *, checkpointing: bool) -> int:
    """What the forward pass of the language model keeps for its backward pass, sampled tokens' logits aside.

    Counted in the layer of transformers: inputs of its products, of rotation, of attention and of the gated unit in
    the passes' dtype (`bytes_each`), the norms' in float32. Checkpointing keeps each layer's input, and one layer whole
    at a time.
    """
    norms = 2 * (2 * text.hidden * 4 + text.hidden * bytes_each)
    attention = (4 * text.hidden + 4 * text.key_value + 4 * text.hidden) * bytes_each
    gated_unit = 4 * text.intermediate * bytes_each
    layer = (norms + attention + gated_unit) * tokens
    kept = text.hidden * bytes_each * tokens
    return text.layers * kept + layer if checkpointing else text.layers * layer


def vision_activation_bytes(vision: VisionSizes, patches: int, bytes_each: int, *, checkpointing: bool) -> int:
    """Likewise for the vision tower."""
    norms = 2 * (2 * vision.hidden * 4 + vision.hidden * bytes_each)
    block = (norms + (8 * vision.hidden + 4 * vision.intermediate) * bytes_each) * patches
    kept = vision.hidden * bytes_each * patches
    return vision.layers * kept + block if checkpointing else vision.layers * block


def head_bytes(text: TextSizes, weight_bytes: int, bytes_each: int, *, trained: bool, device_type: str) -> int:
    """The most that `models.token_logprobs` holds beside its inputs at one time.

    Always the weight in the passes' dtype, where that is not its own. The forward pass: a chunk's logits three times
    over in float32. The backward pass: the weight's gradient in float32 while it is trained, a chunk's logits in
    float32, their gradient rounded to the passes' dtype, and either that gradient before it is rounded or the chunk's
    share of the weight's.
    """
    weight, logits = text.vocabulary * text.hidden, CHUNK_TOKENS[device_type] * text.vocabulary
    copy = weight * bytes_each if bytes_each != weight_bytes else 0
    forward = 3 * logits * 4
    if not trained:
        return copy + forward
    rounded = bytes_each if bytes_each != 4 else 0
    return copy + max(forward, weight * 4 + logits * (4 + rounded) + max(logits * 4, weight * rounded))


def _products_of_layer(text: TextSizes) -> int:
    """Weights of a language layer's matrix products."""
    return 2 * text.hidden * (text.hidden + text.key_value) + 3 * text.hidden * text.intermediate


def _products_of_block(vision: VisionSizes) -> int:
    return 4 * vision.hidden**2 + 3 * vision.hidden * vision.intermediate


def _squares(length: int, window: int) -> int:
    """The sum of squares of the pieces of `length` that windows cut."""
    whole, rest = divmod(length, window)
    return whole * window**2 + rest**2
