"""From a problem to the text that both sampler and trainer read."""

from __future__ import annotations

from transformers import PretrainedConfig, ProcessorMixin

from lmm_r1.errors import BadRowError
from lmm_r1.types import IMAGE_MARKER, Problem

VISION_TOKENS = ("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>")
IMAGE_TOKEN = "<|image_pad|>"
TOKENS_OF_AN_IMAGE = ("<|vision_start|>", IMAGE_TOKEN, "<|vision_end|>")
"""What stands once in a prompt for each of its images."""


def render_prompt(processor: ProcessorMixin, problem: Problem, system_prompt: str | None) -> str:
    """The chat text that asks `problem`; see `render_chat`. Raises `BadRowError`, naming the problem."""
    try:
        return render_chat(processor, problem.question, len(problem.images), system_prompt)
    except BadRowError as error:
        raise BadRowError(error.reason, f"problem {problem.id}: {error}") from error


def render_chat(processor: ProcessorMixin, question: str, images: int, system_prompt: str | None) -> str:
    """The chat text that asks a question, up to and including the header of the assistant's turn.

    Each `IMAGE_MARKER` becomes one `<|vision_start|><|image_pad|><|vision_end|>`, in reading order. The pad is left
    single: vLLM and the processor expand it to the image's visual tokens, and would expand it twice.

    Raises `BadRowError` where markers and images differ in number, or the text itself holds a token of vision, which
    the model would take for a picture or a video that is not there.
    """
    pieces = question.split(IMAGE_MARKER)
    markers = len(pieces) - 1
    if markers != images:
        raise BadRowError(
            "markers that do not match the pictures",
            f"the question has {markers} {IMAGE_MARKER} and {images} images; write one {IMAGE_MARKER} for each image",
        )
    content: list[dict[str, str]] = []
    for number, piece in enumerate(pieces):
        if number > 0:
            content.append({"type": "image"})
        if piece:
            content.append({"type": "text", "text": piece})
    messages = [{"role": "user", "content": content}]
    if system_prompt is not None:
        messages.insert(0, {"role": "system", "content": [{"type": "text", "text": system_prompt}]})
    prompt = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    for token in VISION_TOKENS:
        if prompt.count(token) != (images if token in TOKENS_OF_AN_IMAGE else 0):
            raise BadRowError(
                "text that holds a token of vision",
                f"the text holds {token}, which only an image may; remove it from the question",
            )
    return prompt


def banned_token_ids(processor: ProcessorMixin, config: PretrainedConfig) -> tuple[int, ...]:
    """What a completion must not hold, in ascending order: the sampler gives these ids no probability, and the trainer
    leaves them out of its softmax, so that both mean the same distribution.

    - The tokens of images and videos, which belong in prompts alone: a sampled `<|image_pad|>` would make the model
      look for an image that is not there.
    - Rows of the output head that stand for no token: Qwen2.5-VL-3B has 151,936 for 151,665 tokens. Sampled, they
      would be missing from the text that is rewarded.

    Args:
        config: the model's, plain or with adapters.
    """
    tokens = processor.tokenizer.get_vocab()
    rows = range(config.get_text_config().vocab_size)
    vision = {tokens[token] for token in VISION_TOKENS if token in tokens}
    return tuple(sorted(vision.intersection(rows) | set(rows).difference(tokens.values())))
