"""Whole training steps of Qwen2.5-VL-3B on one GPU: tokens per second, share of the peak, and where the time goes.

    PYTHONPATH=src python perf/gpu.py                            # on a GPU, the 3B shape, about ten minutes
    PYTHONPATH=src python perf/gpu.py --size tiny --device cpu   # the same code anywhere, in a minute

The architecture is the real one, the weights are random and nothing is downloaded. Every step is training's own:
weight sync, rollout, rewards, experience, update, by the callback, the module and the configuration that `train.py`
runs. Completions have their full length, because the end token is one that engines never sample.

Results are written after every step, so that a run that is cut short leaves what it had.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import lmm_r1.models  # noqa: F401  (before lightning, whose metrics import torchvision: it may need mending first)

# isort: split
import lightning as L
import torch
from gpu_report import GIB, Workload
from gpu_steps import Measure, PlannedBatch, SwitchableSeeds, TimedPhases
from hydra.utils import instantiate
from random_model import build_random, problems

from lmm_r1.cli.composition import compose_config, plain
from lmm_r1.cli.paths import register_resolvers
from lmm_r1.models.architecture import architecture_of
from lmm_r1.models.devices import this_gpu
from lmm_r1.models.loading import ATTENTION
from lmm_r1.models.prompts import banned_token_ids
from lmm_r1.rewards.compose import RewardSum
from lmm_r1.rewards.judged import Judged
from lmm_r1.rollout.store import RolloutStore
from lmm_r1.training.assembly import load_policy_and_processor, policy_module
from lmm_r1.training.collate import collate
from lmm_r1.training.plan_memory import pass_dtype
from lmm_r1.training.precision import lightning_precision
from lmm_r1.training.rollout_callback import RolloutCallback
from lmm_r1.training.sampler import PolicySampler
from lmm_r1.training.step_costs import passes_of
from lmm_r1.types import Completion, Experience, Group, Problem, Sampling

WORKLOADS = {
    ("3b", "fre"): Workload("FRE", prompts=128, samples=8, text_tokens=300, image=None, new_tokens=700),
    ("3b", "mgt"): Workload("MGT", prompts=128, samples=8, text_tokens=120, image=(20, 30), new_tokens=400),
    ("tiny", "fre"): Workload("FRE", prompts=4, samples=4, text_tokens=40, image=None, new_tokens=24),
    ("tiny", "mgt"): Workload("MGT", prompts=4, samples=4, text_tokens=24, image=(3, 4), new_tokens=16),
}
PARTS = ("update", "step", "seeds")
"""The update alone, whole steps, and whole steps with and without seeds."""
WARM_UP_SHARE, UPDATE_SHARE, SEEDS_SHARE = 8, 8, 4
"""What needs no whole step has this fraction of its prompts: the budget is minutes."""


def chance(judged: Judged) -> float:
    """A reward that differs within a group, so that random weights have something to learn."""
    return float(judged.completion.token_ids[0] % 2)


def experience_of(asked: list[Problem], workload: Workload, processor: Any) -> Experience:
    """What the rollout callback would hand over, of random tokens: the update alone needs no engine."""
    chance_of_tokens = torch.Generator().manual_seed(0)
    image = [processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")] * workload.image_tokens
    prompt = (*image, *processor.tokenizer("0" * workload.text_tokens)["input_ids"])
    length = workload.new_tokens

    def completion() -> Completion:
        token_ids = torch.randint(10, 200, (length,), generator=chance_of_tokens).tolist()
        return Completion(tuple(token_ids), (0.0,) * length, "", "length", 0)

    groups = [Group(problem, prompt, [completion() for _ in range(workload.samples)]) for problem in asked]
    advantages = torch.randn(len(groups), workload.samples, generator=chance_of_tokens)
    return collate(groups, advantages, processor)


def _part(workload: Workload, share: int) -> Workload:
    return replace(workload, prompts=max(2, workload.prompts // share))


class Plan:
    """The parts of a run and its steps, from the configuration that `train.py` would compose."""

    def __init__(self, arguments: argparse.Namespace, folder: Path) -> None:
        self.arguments, self.folder = arguments, folder
        self.on_gpu = arguments.device != "cpu"
        self.workloads = [WORKLOADS[arguments.size, shape] for shape in arguments.shape]
        start = str(folder / "model")
        begun = time.perf_counter()
        build_random(Path(start), arguments.size, arguments.device)
        register_resolvers()
        self.config = plain(compose_config("train", self._overrides(start)))
        self.model, self.rollout, self.trainer, self.algorithm = (
            instantiate(self.config[group], _convert_="all") for group in ("model", "rollout", "trainer", "algorithm")
        )
        self.phases = TimedPhases()
        policy, self.processor = load_policy_and_processor(self.model, start)
        self.module = policy_module(
            policy,
            self.model,
            self.algorithm,
            start,
            temperature=self.rollout.temperature,
            banned_token_ids=banned_token_ids(self.processor, policy.config),
            steps=100,
            phases=self.phases,
            seed=0,
        )
        reward = instantiate(self.config["reward"], _convert_="all")
        reward = RewardSum(reward.accuracy, reward.weights | {"chance": 1.0}, reward.terms | {"chance": chance})
        engine = partial(SwitchableSeeds, start, **self.rollout.engine.keywords)
        self.sampler = PolicySampler(engine, reward, self.phases)
        print(f"model built and loaded in {time.perf_counter() - begun:.0f} s", flush=True)

    def _overrides(self, start: str) -> list[str]:
        longest = max(w.prompt_tokens + w.new_tokens for w in self.workloads)
        gpu, cpu = ("trainer=gpu", "trainer.devices=1", "rollout=vllm_gpu"), ("trainer=cpu", "rollout=vllm")
        return [
            "model=hub",
            f"model.path={start}",
            "model.system_prompt=null",
            "model.gradient_checkpointing=false",
            *(gpu if self.on_gpu else cpu),
            f"rollout.engine.max_model_len={-(-(longest + 8) // 128) * 128}",
            "algorithm=grpo",
            "algorithm.learning_rate=1e-6",
            f"algorithm.micro_batch_tokens={self.arguments.micro_batch_tokens}",
            *self.arguments.overrides,
        ]

    def batches(self) -> Iterator[PlannedBatch]:
        parts = self.arguments.parts
        if "update" in parts:
            for workload in self.workloads:
                yield from self._updates(_part(workload, UPDATE_SHARE))
        if "step" in parts:
            for number, workload in enumerate(self.workloads):
                yield from self._steps(workload, seed=number)
        if "seeds" in parts:
            workload = _part(self.workloads[0], SEEDS_SHARE)
            rollout = self._rollout(workload, seed=len(self.workloads))
            yield self._step(replace(workload, prompts=2), rollout, counts=False)
            for seeds in (True, False, True, False):
                yield self._step(workload, rollout, counts=True, seeds=seeds)

    def _updates(self, workload: Workload) -> Iterator[PlannedBatch]:
        """The update alone: each kind of attention, with and without recomputed activations."""
        small = replace(workload, prompts=2)
        for attention in self.arguments.attention:
            for checkpointing in (False, True):
                for size in (small, workload):
                    asked = self._problems(size)
                    experience = experience_of(asked, size, self.processor)
                    yield PlannedBatch(
                        asked,
                        experience=experience,
                        workload=size,
                        attention=attention,
                        checkpointing=checkpointing,
                        counts=size is workload,
                    )

    def _steps(self, workload: Workload, seed: int) -> Iterator[PlannedBatch]:
        rollout = self._rollout(workload, seed)
        yield self._step(_part(workload, WARM_UP_SHARE), rollout, counts=False)
        for _ in range(self.arguments.steps):
            yield self._step(workload, rollout, counts=True)

    def _step(self, workload: Workload, rollout: RolloutCallback, *, counts: bool, seeds: bool = True) -> PlannedBatch:
        return PlannedBatch(
            self._problems(workload),
            workload=workload,
            attention=self.arguments.attention[0],
            checkpointing=self.arguments.checkpointing,
            counts=counts,
            seeds=seeds,
            rollout=rollout,
        )

    def _rollout(self, workload: Workload, seed: int) -> RolloutCallback:
        sampling = Sampling(workload.samples, self.rollout.temperature, workload.new_tokens)
        store = RolloutStore(self.folder / "rollouts" / str(seed))
        return RolloutCallback(self.sampler, self.algorithm, self.processor, sampling, store, seed=seed)

    def _problems(self, workload: Workload) -> list[Problem]:
        return problems(self.processor, workload.prompts, workload.text_tokens, workload.image)

    def run(self, measure: Measure) -> None:
        settings, batches = self.trainer, list(self.batches())
        trainer = L.Trainer(
            accelerator=settings.accelerator,
            devices=settings.devices,
            strategy="auto",
            precision=lightning_precision(settings.precision),
            max_epochs=1,
            callbacks=[measure],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=self.folder,
        )
        try:
            loader = torch.utils.data.DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch)
            trainer.fit(self.module, loader)
        finally:
            self.sampler.close()


def _device() -> str:
    properties = torch.cuda.get_device_properties(0)
    return f"{properties.name}, {properties.total_memory / GIB:.0f} GiB, CUDA {torch.version.cuda}"


def _peak(plan: Plan) -> float | None:
    """Operations a second of the passes' dtype; None on a CPU and for a GPU that the table lacks."""
    device = this_gpu()
    return None if device is None else device.flops[pass_dtype(plan.trainer.precision)]


def facts_of(plan: Plan) -> dict[str, Any]:
    """What the results rest on."""
    from lmm_r1.training.lineage import git_commit, versions

    return {
        "command": shlex.join(["python", *sys.argv]),
        "device": _device() if plan.on_gpu else "CPU",
        "versions": versions(),
        "commit": git_commit(),
        "peak_flops": _peak(plan),
        "config": {group: plan.config[group] for group in ("model", "rollout", "trainer", "algorithm")},
    }


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    on_gpu = torch.cuda.is_available()
    parser.add_argument("--size", choices=("tiny", "3b"), default="3b" if on_gpu else "tiny")
    parser.add_argument("--shape", choices=("fre", "mgt", "both"), default="both")
    parser.add_argument("--steps", type=int, default=1, help="measured steps of each shape, after one warm-up")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda" if on_gpu else "cpu")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--attention", nargs="+", choices=tuple(ATTENTION), help="the first is taken for whole steps")
    parser.add_argument("--checkpointing", action="store_true", help="whole steps recompute activations: less memory")
    parser.add_argument("--micro-batch-tokens", type=int, default=4096)
    parser.add_argument("--report", type=Path, help="by default results/gpu.md, on a CPU outputs/perf/gpu.md")
    parser.add_argument("overrides", nargs="*", help="of train.py, e.g. rollout.engine.max_num_seqs=512")
    chosen = parser.parse_args(arguments)
    chosen.shape = ["fre", "mgt"] if chosen.shape == "both" else [chosen.shape]
    # FlexAttention has no backward pass on a CPU.
    chosen.attention = chosen.attention or (["sdpa", "flex_attention"] if chosen.device == "cuda" else ["sdpa"])
    here = Path(__file__).parent
    on_cpu = here.parent / "outputs" / "perf" / "gpu.md"
    chosen.report = chosen.report or (on_cpu if chosen.device == "cpu" else here / "results" / "gpu.md")
    return chosen


def main() -> None:
    arguments = parse()
    with tempfile.TemporaryDirectory(prefix="lmm-r1-") as folder:
        plan = Plan(arguments, Path(folder))
        passes = passes_of(plan.model, plan.algorithm)
        architecture = architecture_of(str(Path(folder) / "model"))
        plan.run(Measure(plan.phases, arguments.report, facts_of(plan), architecture, passes))


if __name__ == "__main__":
    main()
