"""TRL's GRPO trainer on the text shape of `gpu.py`, with the same random model on the same machine.

    PYTHONPATH=src:DIR python perf/gpu_trl.py            # after pip install --no-deps --target DIR trl==1.16.0

TRL samples with vLLM in its own process too (`colocate`) and recomputes activations, its default; what else can
be chosen is chosen as in `gpu.py`. It can sample any token, the end token too: of 700 tokens a few may be missing.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import lmm_r1.models  # noqa: F401  (before transformers' trainers, which import torchvision: it may need mending first)

# isort: split
import torch
from gpu import WORKLOADS
from random_model import build_random, problems
from transformers import TrainerCallback

from lmm_r1.models.loading import load_processor


class StepClock(TrainerCallback):
    """Seconds from the end of one optimiser step to the end of the next, and what TRL logged of it."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.logged: list[dict[str, float]] = []

    def on_train_begin(self, *arguments: Any, **state: Any) -> None:
        self.last = time.perf_counter()

    def on_step_end(self, *arguments: Any, **state: Any) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = time.perf_counter()
        self.seconds.append(now - self.last)
        self.last = now

    def on_log(self, *arguments: Any, logs: dict[str, float], **state: Any) -> None:
        self.logged.append(logs)


def chance(completion_ids: list[list[int]], **columns: Any) -> list[float]:
    """A reward that differs within a group."""
    return [float(token_ids[0] % 2) for token_ids in completion_ids]


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    workload, on_gpu = WORKLOADS[arguments.size, "fre"], arguments.device == "cuda"
    model = str(folder / "model")
    build_random(Path(model), arguments.size, arguments.device)
    processor = load_processor(model, None, None)
    asked = problems(processor, workload.prompts * (1 + arguments.steps), workload.text_tokens, None)
    rows = [{"prompt": [{"role": "user", "content": problem.question}]} for problem in asked]
    completions = workload.prompts * workload.samples
    settings = GRPOConfig(
        output_dir=str(folder / "trl"),
        per_device_train_batch_size=min(arguments.micro_batch, completions),
        gradient_accumulation_steps=max(1, completions // arguments.micro_batch),
        num_generations=workload.samples,
        max_completion_length=workload.new_tokens,
        max_steps=1 + arguments.steps,
        beta=0.0,
        learning_rate=1e-6,
        bf16=on_gpu,
        use_cpu=not on_gpu,
        use_vllm=on_gpu,
        vllm_mode="colocate",
        vllm_gpu_memory_utilization=0.25,
        vllm_max_model_length=workload.prompt_tokens + workload.new_tokens + 64,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
    )
    clock = StepClock()
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=chance,
        args=settings,
        train_dataset=Dataset.from_list(rows),
        processing_class=processor.tokenizer,
        callbacks=[clock],
    )
    trainer.train()
    seconds = clock.seconds[1:]
    length = [entry["completions/mean_length"] for entry in clock.logged if "completions/mean_length" in entry][1:]
    logical = [completions * (workload.prompt_tokens + mean) for mean in length]
    return {
        "seconds": seconds,
        "mean_length": length,
        "logical tokens/s": [tokens / spent for tokens, spent in zip(logical, seconds, strict=False)],
        "peak GiB": torch.cuda.max_memory_allocated() / 2**30 if on_gpu else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    on_gpu = torch.cuda.is_available()
    parser.add_argument("--size", choices=("tiny", "3b"), default="3b" if on_gpu else "tiny")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda" if on_gpu else "cpu")
    parser.add_argument("--steps", type=int, default=1, help="measured steps, after one warm-up")
    parser.add_argument("--micro-batch", type=int, default=8, help="completions in one pass")
    parser.add_argument("--report", type=Path, help="a JSON file")
    arguments = parser.parse_args()
    if importlib.util.find_spec("trl") is None:
        sys.exit("TRL is not installed: pip install --no-deps --target DIR trl==1.16.0, and DIR on PYTHONPATH")
    with tempfile.TemporaryDirectory(prefix="lmm-r1-") as folder:
        found = json.dumps(measure(arguments, Path(folder)), indent=1)
    print(found)
    if arguments.report:
        arguments.report.write_text(found + "\n")


if __name__ == "__main__":
    main()
