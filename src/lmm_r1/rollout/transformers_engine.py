"""An engine for machines without vLLM: Hugging Face `generate` on a copy of the policy. Slower, and as exact."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import lmm_r1.models  # noqa: F401  (first of all: a package that transformers imports may need mending)

# isort: split
import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList, ProcessorMixin

from lmm_r1.models.loading import load_policy, load_processor
from lmm_r1.models.prompts import banned_token_ids
from lmm_r1.rollout.engine import check_generate_arguments
from lmm_r1.rollout.isolation import isolated_random_state
from lmm_r1.rollout.prompts import Prompt, render_prompts
from lmm_r1.types import Completion, Group, Problem, Sampling


class TransformersEngine:
    """`transformers` behind the `RolloutEngine` protocol, with a model of its own, on the GPU where there is one.

    A completion's random numbers depend on its seed alone. Its log-probabilities also feel, in the last bits, how
    long the prompts of its batch are padded, so another `max_num_seqs` may now and then change a token.

    Args:
        model_path: a Hugging Face folder or id; its weights are version 0.
        dtype: of weights and activations, "float32" or "bfloat16".
        system_prompt: what precedes every problem, or None for what the chat template puts there.
        min_pixels, max_pixels: bounds of an image's area after resizing; None for what the processor was saved with.
        max_model_len: the most tokens of prompt and completion together.
        max_num_seqs: the most completions that are sampled at the same time.
    """

    def __init__(
        self,
        model_path: str,
        *,
        dtype: str,
        system_prompt: str | None,
        min_pixels: int | None,
        max_pixels: int | None,
        max_model_len: int,
        max_num_seqs: int,
    ) -> None:
        self._processor = load_processor(model_path, min_pixels, max_pixels)
        self._system_prompt = system_prompt
        self._max_model_len = max_model_len
        self._max_num_seqs = max_num_seqs
        self._version = 0
        with isolated_random_state():
            device = "cuda" if torch.cuda.is_available() else "cpu"
            self._model = load_policy(model_path, dtype).requires_grad_(False).eval().to(device)
        self._banned = banned_token_ids(self._processor, self._model.config)
        self._end_ids, self._padding_id = _special_ids(self._model.generation_config, self._processor)
        # A model's own settings may bend the distribution, e.g. by a repetition penalty: keep none of them.
        self._model.generation_config = GenerationConfig(
            eos_token_id=self._end_ids, pad_token_id=self._padding_id, do_sample=False
        )

    def load_weights(self, state_dict: Mapping[str, Tensor], version: int) -> None:
        """See `RolloutEngine`. The weights are copied, one after the other; raises `RuntimeError` where one is missing,
        unknown or of another shape."""
        own = self._model.state_dict()
        if wrong := own.keys() ^ state_dict.keys():
            raise RuntimeError(f"weights that are missing or unknown: {', '.join(sorted(wrong))}")
        for name, weight in state_dict.items():
            if own[name].shape != weight.shape:
                raise RuntimeError(f"{name} has shape {tuple(weight.shape)}, not {tuple(own[name].shape)}")
            own[name].copy_(weight)
        self._version = version

    def generate(
        self,
        problems: Sequence[Problem],
        sampling: Sampling,
        seeds: Sequence[int],
        complete: Callable[[Group], None] | None = None,
    ) -> list[Group]:
        """See `RolloutEngine`."""
        check_generate_arguments(problems, sampling, seeds)
        prompts = render_prompts(self._processor, problems, self._system_prompt, sampling, self._max_model_len)
        groups = [Group(problem, (), []) for problem in problems]
        rows = [(place, sample) for place in range(len(problems)) for sample in range(sampling.samples)]
        for start in range(0, len(rows), self._max_num_seqs):
            batch = rows[start : start + self._max_num_seqs]
            row_seeds = [seeds[place] + sample for place, sample in batch]
            sampled = self._sample([prompts[place] for place, _ in batch], sampling, row_seeds)
            for (place, _), (prompt_ids, completion) in zip(batch, sampled, strict=True):
                groups[place].prompt_ids = prompt_ids
                groups[place].completions.append(completion)
                if complete is not None and len(groups[place].completions) == sampling.samples:
                    complete(groups[place])
        return groups

    def close(self) -> None:
        """See `RolloutEngine`."""
        self._model = None

    @torch.inference_mode()
    def _sample(
        self, prompts: Sequence[Prompt], sampling: Sampling, seeds: Sequence[int]
    ) -> list[tuple[tuple[int, ...], Completion]]:
        """The expanded prompt and one completion for each of these rows."""
        images = [image for prompt in prompts for image in prompt.images]
        inputs = self._processor(
            text=[prompt.text for prompt in prompts],
            images=images or None,
            return_tensors="pt",
            padding=True,
            padding_side="left",
        ).to(self._model.device)
        sampler = SeededSampler(sampling.temperature, self._banned, seeds)
        with isolated_random_state():
            output = self._model.generate(
                **inputs, max_new_tokens=sampling.max_new_tokens, logits_processor=LogitsProcessorList([sampler])
            )
        tokens = output[:, inputs["input_ids"].shape[1] :].tolist()
        logprobs = torch.stack(sampler.logprobs, dim=1).tolist()
        prompt_ids = [
            tuple(ids[mask].tolist())
            for ids, mask in zip(inputs["input_ids"], inputs["attention_mask"].bool(), strict=True)
        ]
        completions = [self._completion(*row) for row in zip(tokens, logprobs, strict=True)]
        return list(zip(prompt_ids, completions, strict=True))

    def _completion(self, tokens: list[int], logprobs: list[float]) -> Completion:
        ends = [place for place, token in enumerate(tokens) if token in self._end_ids]
        length = ends[0] + 1 if ends else len(tokens)
        return Completion(
            token_ids=tuple(tokens[:length]),
            logprobs=tuple(logprobs[:length]),
            text=self._processor.tokenizer.decode(tokens[:length], skip_special_tokens=True),
            finish_reason="stop" if ends else "length",
            weight_version=self._version,
        )


class SeededSampler(LogitsProcessor):
    """Draws each row's next token with the row's own generator, where `generate` would use one for the whole batch.

    By the Gumbel-max trick: argmax over log p + g, with g standard Gumbel noise, is a draw from p (Gumbel 1954;
    Maddison et al., arXiv 1411.0030, section 2). What it returns leaves greedy decoding no other choice.
    """

    def __init__(self, temperature: float, banned: Sequence[int], seeds: Sequence[int]) -> None:
        self.temperature = temperature
        self.banned = list(banned)
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.logprobs: list[Tensor] = []
        """For each step so far, the drawn tokens' log-probabilities `[B]` float32 on the CPU."""

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        scores = scores.float()
        scores[:, self.banned] = -torch.inf
        greedy = self.temperature == 0
        logprobs = (scores if greedy else scores / self.temperature).log_softmax(-1)
        noise = 0.0 if greedy else self._gumbel(scores.shape[1]).to(scores.device)
        drawn = (logprobs + noise).argmax(-1, keepdim=True)
        self.logprobs.append(logprobs.gather(-1, drawn).squeeze(-1).cpu())
        return torch.full_like(scores, -torch.inf).scatter_(-1, drawn, 0.0)

    def _gumbel(self, vocabulary: int) -> Tensor:
        """`[B, V]` standard Gumbel noise: minus the logarithm of exponential noise."""
        rows = [torch.empty(vocabulary).exponential_(generator=generator) for generator in self.generators]
        return torch.stack(rows).log_().neg_()


def _special_ids(generation_config: GenerationConfig, processor: ProcessorMixin) -> tuple[list[int], int]:
    """The tokens that end a completion, as in vLLM the tokenizer's and the model's, and the one that fills its row."""
    own, further = processor.tokenizer.eos_token_id, generation_config.eos_token_id
    further = [further] if isinstance(further, int) else further or []
    padding = generation_config.pad_token_id
    return sorted({own, *further}), own if padding is None else padding
