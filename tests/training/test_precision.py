"""Whatever numbers the weights and the passes are in, an update is one, and what it compares and sums is float32."""

from __future__ import annotations

import functools
import itertools
import logging
from pathlib import Path

import pytest
import torch

from lmm_r1.algorithms.losses import clipped_surrogate
from lmm_r1.cli.composition import compose_config, plain
from lmm_r1.cli.paths import register_resolvers
from lmm_r1.cli.validate import DTYPES, PRECISIONS, validate_training
from lmm_r1.errors import UserError
from lmm_r1.models.loading import LoraSettings
from lmm_r1.training.assembly import load_trained, policy_module
from lmm_r1.training.checkpoint_folder import checkpoint_path
from lmm_r1.training.checkpoints import Checkpoints
from lmm_r1.training.interrupts import Interrupts
from lmm_r1.training.module import GRPOModule
from lmm_r1.training.phases import Phases
from lmm_r1.training.precision import RoundingNotice, lightning_precision, share_lost_to_rounding
from lmm_r1.training.settings import SupervisedSettings
from lmm_r1.training.supervised import SupervisedModule
from tests.training.running import SMALL, assert_equal, metrics, train, weights
from tests.training.updating import configured, experience_of, loader_of, model_settings, trainer_of

LORA = LoraSettings(rank=4, alpha=8, dropout=0.0, target_modules=("q_proj", "v_proj", "down_proj"))


ADMITTED = [
    ("32-true", "float32", False),
    ("bf16-mixed", "float32", False),
    ("bf16-true", "bfloat16", False),
    ("32-true", "float32", True),
    ("bf16-mixed", "float32", True),
    ("bf16-mixed", "bfloat16", True),
    ("bf16-true", "bfloat16", True),
]
"""Precision, dtype and adapters."""


def policy_of(model: Path, dtype: str, adapters: bool) -> torch.nn.Module:
    return load_trained(model_settings(model, dtype=dtype, lora=LORA if adapters else None), str(model))


def module_of(model: Path, dtype: str, adapters: bool, algorithm, banned) -> GRPOModule:
    torch.manual_seed(0)
    return policy_module(
        policy_of(model, dtype, adapters),
        model_settings(model, dtype=dtype, lora=LORA if adapters else None),
        algorithm,
        str(model),
        temperature=1.0,
        banned_token_ids=banned,
        steps=2,
        phases=Phases(),
        seed=0,
    )


def assert_learnt(module, before: dict[str, torch.Tensor], trainer) -> None:
    """Every trained weight is of the dtype that it had, its moments too, and most have moved."""
    assert {name: tensor.dtype for name, tensor in module.state_dict().items()} == {
        name: tensor.dtype for name, tensor in before.items()
    }
    learning = dict(module.named_parameters())
    moved = [not torch.equal(tensor, before[name]) for name, tensor in learning.items() if tensor.requires_grad]
    assert sum(moved) > 0.5 * len(moved)
    assert all(torch.equal(tensor, before[name]) for name, tensor in learning.items() if not tensor.requires_grad)
    for optimiser in trainer.optimizers:
        for parameter, state in optimiser.state.items():
            assert state["exp_avg"].dtype == state["exp_avg_sq"].dtype == parameter.dtype
            assert parameter.dtype == torch.float32 or not any("lora_" in name for name in learning)


def copied(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def test_no_kind_of_run_may_start_that_is_not_tried_here():
    register_resolvers()
    found = []
    for adapters in (False, True):
        config = plain(compose_config("train", ["model=tiny_lora" if adapters else "model=tiny"]))
        for precision, dtype in itertools.product(PRECISIONS, DTYPES):
            config["trainer"]["precision"], config["model"]["dtype"] = precision, dtype
            try:
                validate_training(config)
            except UserError:
                continue
            found.append((precision, dtype, adapters))
    assert sorted(found) == sorted(ADMITTED)


@pytest.mark.parametrize(
    ("precision", "dtype", "adapters", "name"),
    [
        *((*kind, "grpo") for kind in ADMITTED),
        *((*kind, "ppo") for kind in ADMITTED if kind[0] != "32-true"),
        *((*kind, "ppo, a head alone") for kind in ADMITTED if kind[1] == "bfloat16"),
    ],
)
def test_two_updates_on_text_and_images(
    precision, dtype, adapters, name, random_model, processor, banned, make_groups, tmp_path
):
    """And after a checkpoint in between, the second is the same, bit for bit."""
    seen = set()

    @functools.wraps(clipped_surrogate)
    def loss(*arguments, **others):
        seen.update(argument.dtype for argument in arguments[:3])
        return clipped_surrogate(*arguments, **others)

    loss = functools.partial(loss, clip_low=0.2, clip_high=0.2)
    overrides = ["algorithm.critic.own_model=false"] if "alone" in name else []
    algorithm = configured(
        name.partition(",")[0], *overrides, loss=loss, kl_coef=0.01, learning_rate=1e-2, mini_batches=2
    )
    experiences = [experience_of(make_groups(2, 2, seed), processor, algorithm) for seed in (0, 1)]
    module = module_of(random_model, dtype, adapters, algorithm, banned)
    before, saver = copied(module), Checkpoints(tmp_path, Interrupts(), every=1, keep=2, steps=2)
    trainer = trainer_of(saver, precision=lightning_precision(precision))
    trainer.fit(module, loader_of(*experiences))
    assert_learnt(module, before, trainer)
    assert seen == {torch.float32}
    assert torch.get_default_dtype() == torch.float32
    assert all(value == value and abs(value) < 1e3 for value in module.metrics.values())

    resumed = module_of(random_model, dtype, adapters, algorithm, banned)
    again = Checkpoints(tmp_path / "again", Interrupts(), every=1, keep=2, steps=2, resume=checkpoint_path(tmp_path, 1))
    trainer_of(again, precision=lightning_precision(precision)).fit(resumed, loader_of(experiences[1]))
    assert_equal(dict(module.state_dict()), dict(resumed.state_dict()))
    assert module.metrics == resumed.metrics


@pytest.mark.parametrize(("precision", "dtype", "adapters"), ADMITTED)
def test_two_supervised_updates_on_text_and_images(
    precision, dtype, adapters, random_model, processor, banned, make_groups
):
    settings = SupervisedSettings(2, 1, 1e-2, warmup_ratio=0.0, max_grad_norm=1.0, build=None)
    module = SupervisedModule(
        policy_of(random_model, dtype, adapters),
        processor,
        settings,
        system_prompt=None,
        banned_token_ids=banned,
        steps=2,
        phases=Phases(),
    )
    batch = [(group.problem, "<think> 3 + 4 = 7. </think><answer> $7$ </answer>") for group in make_groups(2, 2)]
    before, trainer = copied(module), trainer_of(precision=lightning_precision(precision))
    trainer.fit(module, torch.utils.data.DataLoader([batch, batch], batch_size=None, collate_fn=lambda item: item))
    assert_learnt(module, before, trainer)
    assert 0 < module.metrics["policy/loss"] < 10


def test_a_step_that_rounding_would_lose_is_counted_and_said(random_model, banned, make_groups, processor, caplog):
    weights = torch.tensor([0.0, 0.001, 0.25, 0.5, 1.0]).bfloat16()
    assert share_lost_to_rounding([weights], 1e-3) == pytest.approx(2 / 5)
    assert share_lost_to_rounding([weights.float(), torch.ones(3)], 1e-9) == 0
    algorithm = configured("grpo", learning_rate=1e-6)
    experience = experience_of(make_groups(2, 2), processor)
    for dtype, adapters, said in (("bfloat16", False, True), ("float32", False, False), ("bfloat16", True, False)):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            module = module_of(random_model, dtype, adapters, algorithm, banned)
            trainer_of(RoundingNotice()).fit(module, loader_of(experience))
        assert said == any("1.0e-06, is lost to rounding in 9" in record.getMessage() for record in caplog.records)


@pytest.mark.slow
def test_a_run_on_bfloat16_weights_ends_like_one_on_others(tmp_path):
    """An engine in float32, text and images, critic and reference; what is saved is in the model's own numbers."""
    train(
        "stage=mgt",
        "init_from=null",
        *SMALL,
        "algorithm=ppo",
        "model.dtype=bfloat16",
        "trainer.precision=bf16-true",
        f"output_root={tmp_path}",
    )
    folder = tmp_path / "mgt" / "latest"
    dtypes = {name: tensor.dtype for name, tensor in weights(folder, 2).items()}
    assert {name for name, dtype in dtypes.items() if dtype == torch.float32} == {
        "critic.head.weight",
        "critic.head.bias",
    }
    assert all(float(row["policy/sampler_difference"]) < 0.02 for row in metrics(folder)[1:])
