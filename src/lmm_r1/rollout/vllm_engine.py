"""The engine of training and evaluation: vLLM, inside the trainer's process, on CPU or GPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lmm_r1.errors import UserError
from lmm_r1.models.loading import load_config, load_processor, local_folder, pixel_bounds
from lmm_r1.models.prompts import banned_token_ids
from lmm_r1.rollout.engine import check_generate_arguments
from lmm_r1.rollout.isolation import isolated_random_state, kept_threads, silenced_unless_failing
from lmm_r1.rollout.prompts import Prompt, render_prompts
from lmm_r1.rollout.vllm_banning import banning
from lmm_r1.rollout.vllm_setup import import_vllm, kept_process_group, one_engine_a_rank
from lmm_r1.types import Completion, Group, Problem, Sampling

if TYPE_CHECKING:
    from vllm import CompletionOutput, RequestOutput, SamplingParams

GIB = 2**30


class VLLMEngine:
    """vLLM behind the `RolloutEngine` protocol. At most one may be open in a process at a time.

    With several ranks, all build theirs together, after the process group; from then on none waits for another. On
    CPU vLLM binds the memory of the whole process to one NUMA node, which cannot be undone.

    Args:
        model_path: a Hugging Face folder or id; its weights are version 0.
        dtype: of weights and activations, e.g. "float32" or "bfloat16".
        system_prompt: what precedes every problem, or None for what the chat template puts there.
        min_pixels, max_pixels: bounds of an image's area after resizing; None for what the processor was saved with.
        max_model_len: the most tokens of prompt and completion together.
        max_num_seqs: the most completions that are sampled at the same time.
        max_images: the most images in one prompt.
        enforce_eager: whether to skip compilation and CUDA graphs: a quick start, and slower sampling on GPUs.
        gpu_memory_utilization: the share of the GPU's memory that the engine may fill; without effect where
            `kv_cache_gib` is given.
        kv_cache_gib: the size of the key-value cache in GiB; needed on CPU, where a share of all memory is too much.
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
        max_images: int,
        enforce_eager: bool,
        gpu_memory_utilization: float,
        kv_cache_gib: float | None,
    ) -> None:
        self._processor = load_processor(model_path, min_pixels, max_pixels)
        self._system_prompt = system_prompt
        self._max_model_len = max_model_len
        self._max_images = max_images
        self._version = 0
        self._joined_group = torch.distributed.is_initialized()
        # vLLM compiles some of its sampling even then: seconds in the first step, and an error without a C++ compiler.
        self._stance = "force_eager" if enforce_eager else "default"
        with isolated_random_state(), kept_threads(), silenced_unless_failing(), one_engine_a_rank() as executor:
            vllm = import_vllm()
            self._sampling_params = vllm.SamplingParams
            self._llm = vllm.LLM(
                str(local_folder(model_path)),
                dtype=dtype,
                distributed_executor_backend=executor,
                logprobs_mode="processed_logprobs",
                logits_processors=[banning(banned_token_ids(self._processor, load_config(model_path)))],
                max_model_len=max_model_len,
                max_num_seqs=max_num_seqs,
                # A prompt in one piece: Model Runner V1 cannot take back the random number of an unfinished one on CPU.
                enable_chunked_prefill=False,
                max_num_batched_tokens=max(max_model_len, 8192),
                limit_mm_per_prompt={"image": max_images, "video": 0},
                mm_processor_kwargs={"size": pixel_bounds(self._processor)},
                # Processed images come back once an epoch: not worth vLLM's default of 4 GiB.
                mm_processor_cache_gb=0,
                enforce_eager=enforce_eager,
                gpu_memory_utilization=gpu_memory_utilization,
                kv_cache_memory_bytes=None if kv_cache_gib is None else int(kv_cache_gib * GIB),
                use_tqdm_on_load=False,
            )

    def load_weights(self, state_dict: Mapping[str, Tensor], version: int) -> None:
        """See `RolloutEngine`. Raises `ValueError` for a state dict without its output head.

        vLLM keeps a packed copy of a tied head on CPU and would go on sampling with the old one, without an error.
        """
        if "lm_head.weight" not in state_dict:
            raise ValueError("the state dict lacks lm_head.weight: pass state_dict(), which names tied weights twice")
        with isolated_random_state():
            self._llm.collective_rpc("reload_weights", kwargs={"weights_iterator": iter(state_dict.items())})
        self._version = version
        # Older vLLM keeps no version.
        if hasattr(self._llm, "update_weight_version"):
            self._llm.update_weight_version(str(version))

    def generate(
        self,
        problems: Sequence[Problem],
        sampling: Sampling,
        seeds: Sequence[int],
        complete: Callable[[Group], None] | None = None,
    ) -> list[Group]:
        """See `RolloutEngine`."""
        check_generate_arguments(problems, sampling, seeds)
        self._check_images(problems)
        prompts = render_prompts(self._processor, problems, self._system_prompt, sampling, self._max_model_len)
        self._forget()
        groups: dict[int, Group] = {}

        def finished(place: int, output: RequestOutput) -> None:
            groups[place] = self._group(problems[place], output)
            if complete is not None:
                complete(groups[place])

        with isolated_random_state(), torch.compiler.set_stance(self._stance):
            self._run(prompts, [self._engine_sampling(sampling, seed) for seed in seeds], finished)
        return [groups[place] for place in range(len(problems))]

    def close(self) -> None:
        """See `RolloutEngine`. Another engine may be built afterwards."""
        if self._llm is None:
            return
        with kept_process_group(self._joined_group):
            self._llm.llm_engine.engine_core.shutdown()
        self._llm = None

    def _check_images(self, problems: Sequence[Problem]) -> None:
        for problem in problems:
            if len(problem.images) > self._max_images:
                raise UserError(
                    f"problem {problem.id} has {len(problem.images)} images, more than "
                    f"rollout.engine.max_images={self._max_images}; raise it"
                )

    def _forget(self) -> None:
        """Drop what was computed from earlier prompts and images: it may stem from older weights.

        Before every call rather than after every sync, so that a call's arithmetic does not depend on what validation
        or an earlier step left in the caches, and a resumed run repeats an uninterrupted one bit for bit.
        """
        if not self._llm.reset_prefix_cache():
            raise RuntimeError("vLLM kept keys and values of an earlier call, which may stem from older weights")
        self._llm.llm_engine.reset_encoder_cache()

    def _engine_sampling(self, sampling: Sampling, seed: int) -> SamplingParams:
        return self._sampling_params(
            n=sampling.samples,
            temperature=sampling.temperature,
            max_tokens=sampling.max_new_tokens,
            seed=seed,
            logprobs=0,  # of the sampled token alone
            flat_logprobs=True,
            detokenize=False,
        )

    def _run(
        self,
        prompts: Sequence[Prompt],
        sampling: Sequence[SamplingParams],
        finished: Callable[[int, RequestOutput], None],
    ) -> None:
        """Call `finished` with each prompt's place and output: the loop of `LLM.generate`, which waits for the last."""
        engine = self._llm.llm_engine
        requests = self._llm.enqueue([_engine_prompt(prompt) for prompt in prompts], sampling, use_tqdm=False)
        # Within the engine an id has a random tail; an output has the id that was given.
        places = {request.split("-")[0]: place for place, request in enumerate(requests)}
        try:
            while engine.has_unfinished_requests():
                for output in engine.step():
                    if output.finished:
                        finished(places[output.request_id], output)
        except BaseException:
            # A later call would go on with what is left of this one.
            engine.abort_request(requests, internal=True)
            raise

    def _group(self, problem: Problem, output: RequestOutput) -> Group:
        texts = self._processor.tokenizer.batch_decode(
            [sample.token_ids for sample in output.outputs], skip_special_tokens=True
        )
        completions = [
            Completion(
                token_ids=tuple(sample.token_ids),
                logprobs=tuple(sample.logprobs.logprobs),
                text=text,
                finish_reason=sample.finish_reason,
                weight_version=self._version_of(sample),
            )
            for sample, text in zip(output.outputs, texts, strict=True)
        ]
        return Group(problem, tuple(output.prompt_token_ids), completions)

    def _version_of(self, sample: CompletionOutput) -> int:
        """The version that vLLM recorded while it sampled; before the first sync and in older vLLM, our own count."""
        spans = getattr(sample, "weight_versions", None) or []
        versions = {span.version for span in spans} - {"default"}
        if versions - {str(self._version)}:
            raise RuntimeError(f"sampled with weights {sorted(versions)} while version {self._version} was loaded")
        return self._version


def _engine_prompt(prompt: Prompt) -> dict:
    if not prompt.images:
        return {"prompt_token_ids": prompt.token_ids}
    return {"prompt_token_ids": prompt.token_ids, "multi_modal_data": {"image": list(prompt.images)}}
