"""Impossible and contradictory settings, found in the plain configuration before anything heavy is imported.

Everything here is a function of the configuration alone; what lies on disk is looked at in `inputs`.
"""

from __future__ import annotations

from math import inf

from lmm_r1.answer_rules import ANSWER_TYPES, PERCENTS, known_answer_type
from lmm_r1.cli.checks import (
    Config,
    lookup,
    number,
    one_of,
    optional_whole_number,
    some_of,
    text,
    truth,
    whole_number,
)
from lmm_r1.cli.validate_algorithm import check_algorithm, check_sampling, temperature
from lmm_r1.errors import UserError

STAGES = ("sft", "fre", "mgt")
DTYPES = ("float32", "bfloat16")
PRECISIONS = {"32-true": "float32", "bf16-mixed": "float32", "bf16-true": "bfloat16"}
"""What passes are made in, and the weights that they work on; adapters are float32 on weights of either kind."""
ATTENTION = ("sdpa", "flex_attention")
ACCELERATORS = ("cpu", "gpu")
FAMILIES = ("chain", "grid", "bars", "count", "shape", "triangle", "function", "chart", "table")
RENDERINGS = ("text_only", "text_dominant", "text_lite", "vision_dominant", "vision_only")
IMAGES = ("as_given", "blank", "noise")
SPLITS = ("train", "validation", "test")
TRACES = "lmm_r1.data.synthetic.TraceDataset"
REWARD_SUM = "lmm_r1.rewards.compose.RewardSum"
COMBINATIONS = ("additive", "gated")
SHAPING = "lmm_r1.rewards.shaping."
PROBLEMS = ("lmm_r1.data.synthetic.SyntheticDataset", "lmm_r1.data.local.LocalDataset")


def validate_training(config: Config) -> None:
    """Raises `UserError` for the first setting of a training run that cannot work."""
    one_of(config, "stage_name", STAGES)
    whole_number(config, "seed", 0)
    text(config, "output_root")
    number(config, "min_usable_share", 0, 1)
    whole_number(config, "max_bad_rows", 0)
    _check_stage(config)
    _check_model(config)
    _check_dataset(config)
    _check_reward(config)
    check_sampling(config)
    _check_rollout(config)
    _check_trainer(config)
    check_algorithm(config)
    if config["stage_name"] == "sft":
        _check_supervised(config)
    else:
        _check_group(config)
    _check_batches(config)


def validate_evaluation(config: Config) -> None:
    """Raises `UserError` for the first setting of an evaluation that cannot work."""
    whole_number(config, "seed", 0)
    whole_number(config, "batch_size", 1)
    one_of(config, "images", IMAGES)
    text(config, "output_root")
    number(config, "min_usable_share", 0, 1)
    if config["resume"] is not None and config["rescore"] is not None:
        raise UserError("resume and rescore exclude each other: finish the generation first, then score it again")
    _check_model(config)
    _check_problems(config, "benchmark")
    _check_reward(config)
    _check_rollout(config)
    samples = whole_number(config, "samples", 1)
    if temperature(config, "temperature") == 0 and samples > 1:
        raise UserError(f"samples={samples}: greedy completions are all the same; set temperature above 0")


def _check_stage(config: Config) -> None:
    stage, only = config["stage_name"], config["only_stage"]
    if only is not None and stage != only:
        raise UserError(f"stage={stage}: this ablation is one of stage={only}; leave stage out or take stage={only}")
    init_from = config["init_from"]
    if init_from is not None and not isinstance(init_from, str):
        raise UserError(f"init_from={init_from}: must be null, latest_fre, or a folder")
    if stage == "sft" and init_from is not None:
        raise UserError(f"init_from={init_from}: stage=sft starts from new weights or from model.path")
    if stage == "fre" and init_from == "latest_fre":
        raise UserError("init_from=latest_fre: only stage=mgt goes on from FRE; name a folder to go on with FRE itself")


def _check_model(config: Config) -> None:
    text(config, "model.path")
    one_of(config, "model.dtype", DTYPES)
    one_of(config, "model.attention", ATTENTION)
    truth(config, "model.freeze_vision")
    truth(config, "model.gradient_checkpointing")
    least = optional_whole_number(config, "model.min_pixels", 1)
    most = optional_whole_number(config, "model.max_pixels", 1)
    if least is not None and most is not None and least > most:
        raise UserError(f"model.min_pixels={least}: must not exceed model.max_pixels={most}")
    if lookup(config, "model.lora") is not None:
        whole_number(config, "model.lora.rank", 1)
        number(config, "model.lora.alpha", 0, above=True)
        number(config, "model.lora.dropout", 0, 1, below=True)


def _check_dataset(config: Config) -> None:
    _check_problems(config, "dataset")
    learnt_from = lookup(config, "dataset.train._target_")
    if config["stage_name"] == "sft" and learnt_from in PROBLEMS:
        raise UserError(
            "stage=sft learns from supervised responses, which this data set has none of; did you mean "
            "dataset=synthetic_traces?"
        )
    if config["stage_name"] != "sft" and learnt_from == TRACES:
        raise UserError("dataset=synthetic_traces is for stage=sft; did you mean dataset=synthetic_text?")
    if "train_start" in config["dataset"]:
        _check_rows(config)


def _check_rows(config: Config) -> None:
    """Rows of one file are either learnt from or held out."""
    dataset, start = config["dataset"], whole_number(config, "dataset.train_start", 0)
    held_out = optional_whole_number(config, "dataset.validation_size", 1)
    if dataset["path"] == dataset["validation_path"] and (held_out is None or start < held_out):
        raise UserError(
            f"dataset.train_start={start}: the first {held_out} rows of dataset.path are held out for validation; "
            "start there, or name another file with dataset.validation_path"
        )


def _check_problems(config: Config, group: str) -> None:
    """The options of generated problems; files are opened later."""
    if lookup(config, f"{group}.split") is not None:
        one_of(config, f"{group}.split", SPLITS)
    for key in ("families", "train.families"):
        if lookup(config, f"{group}.{key}") is not None:
            some_of(config, f"{group}.{key}", FAMILIES)
    for key in ("renderings", "validation_renderings"):
        if lookup(config, f"{group}.{key}") is not None:
            some_of(config, f"{group}.{key}", RENDERINGS)
    if lookup(config, f"{group}.percent") is not None:
        _check_answers(config, group)
    for key in ("size", "validation_size", "image_size"):
        optional_whole_number(config, f"{group}.{key}", 1)
    difficulty = lookup(config, f"{group}.difficulty")
    if difficulty is not None and not (
        len(difficulty) == 2 and all(isinstance(level, int) for level in difficulty) and difficulty[0] <= difficulty[1]
    ):
        raise UserError(f"{group}.difficulty={difficulty}: must be [least, greatest], two whole numbers")


def _check_answers(config: Config, group: str) -> None:
    """How the answers of a file are judged."""
    answer_type = text(config, f"{group}.answer_type")
    if not known_answer_type(answer_type):
        one_of(config, f"{group}.answer_type", ANSWER_TYPES)
    for key in ("relative_tolerance", "absolute_tolerance"):
        number(config, f"{group}.{key}", 0)
    one_of(config, f"{group}.percent", PERCENTS)
    number(config, f"{group}.iou_threshold", 0, 1, above=True)
    if answer_type == "actions" and not lookup(config, f"{group}.simulator"):
        raise UserError(f"{group}.simulator=: answer_type=actions is judged by a game; name one as module.name")


def _check_reward(config: Config) -> None:
    if config["reward"].get("_target_") != REWARD_SUM:
        return
    weights, terms = lookup(config, "reward.weights") or {}, lookup(config, "reward.terms") or {}
    for name in weights:
        number(config, f"reward.weights.{name}", -inf)
    for name in ("accuracy", *terms):
        if name not in weights:
            raise UserError(f"reward.weights.{name} is missing: give +reward.weights.{name}=<number>")
    for name in weights:
        if name not in ("accuracy", *terms):
            raise UserError(f"reward.weights.{name}: there is no term reward.terms.{name}")
    if "combination" in config["reward"]:
        one_of(config, "reward.combination", COMBINATIONS)
    if lookup(config, "reward.combination") == "gated" and "format" not in terms:
        raise UserError("reward.combination=gated: needs the term format in reward.terms")
    for name, term in terms.items():
        if str(lookup(term, "_target_")).startswith(SHAPING):
            _check_shaping(config, f"reward.terms.{name}", term)


def _check_shaping(config: Config, key: str, term: Config) -> None:
    """The arguments of the terms that come with the project."""
    for argument in ("max_tokens", "ngram"):
        if argument in term:
            whole_number(config, f"{key}.{argument}", 1)
    if "cache_share" in term:
        number(config, f"{key}.cache_share", 0, 1, above=True)


def _check_rollout(config: Config) -> None:
    tokens = whole_number(config, "rollout.max_new_tokens", 1)
    context = optional_whole_number(config, "rollout.engine.max_model_len", 1)
    if context is not None and tokens >= context:
        raise UserError(
            f"rollout.max_new_tokens={tokens}: leaves no room for a prompt in rollout.engine.max_model_len={context}"
        )
    if lookup(config, "rollout.engine.dtype") is not None:
        one_of(config, "rollout.engine.dtype", DTYPES)
    samples = whole_number(config, "rollout.validation_samples", 1)
    if temperature(config, "rollout.validation_temperature") == 0 and samples > 1:
        raise UserError(
            f"rollout.validation_samples={samples}: greedy completions are all the same; set "
            "rollout.validation_temperature above 0"
        )


def _check_group(config: Config) -> None:
    """What only makes sense, or fails to, when groups of completions are compared."""
    weights = lookup(config, "reward.weights")
    if weights is not None and not any(weights.values()):
        raise UserError("reward.weights: every weight is 0, so there would be nothing to learn")
    samples = whole_number(config, "rollout.samples", 1)
    if samples == 1:
        raise UserError("rollout.samples=1: an advantage compares a completion with its group; take at least 2")
    if temperature(config, "rollout.temperature") == 0:
        raise UserError(
            "rollout.temperature=0: greedy completions are all the same, so every advantage would be 0; take 1.0"
        )


def _check_trainer(config: Config) -> None:
    accelerator = one_of(config, "trainer.accelerator", ACCELERATORS)
    precision = one_of(config, "trainer.precision", tuple(PRECISIONS))
    for key, least in {
        "devices": 1,
        "steps": 1,
        "prompts_per_step": 1,
        "validate_every": 0,
        "validation_batch_size": 1,
        "checkpoint_every": 1,
        "keep_checkpoints": 1,
        "max_skipped_steps": 1,
    }.items():
        whole_number(config, f"trainer.{key}", least)
    optional_whole_number(config, "trainer.threads", 1)
    dtype, on_adapters = (
        config["model"]["dtype"],
        precision == "bf16-mixed" and lookup(config, "model.lora") is not None,
    )
    if dtype != PRECISIONS[precision] and not on_adapters:
        hint = "; only under adapters (model.lora) may they be bfloat16" if precision == "bf16-mixed" else ""
        raise UserError(
            f"trainer.precision={precision}: works on {PRECISIONS[precision]} weights, but model.dtype={dtype}{hint}"
        )
    if accelerator == "cpu" and config["model"]["attention"] == "flex_attention":
        raise UserError("model.attention=flex_attention: needs a GPU; take sdpa")


def _check_supervised(config: Config) -> None:
    number(config, "sft.learning_rate", 0, above=True)
    number(config, "sft.warmup_ratio", 0, 1)
    number(config, "sft.max_grad_norm", 0, above=True)
    whole_number(config, "sft.micro_batch_size", 1)
    if lookup(config, "sft.build") is not None and not config["model"]["path"].endswith("models/tiny"):
        raise UserError(
            f"model.path={config['model']['path']}: stage=sft builds a new tiny model and would not read it; set "
            "sft.build=null to train it"
        )


def _check_batches(config: Config) -> None:
    """Every process and every mini-batch gets the same share of a step."""
    prompts, devices = config["trainer"]["prompts_per_step"], config["trainer"]["devices"]
    if prompts % devices:
        raise UserError(f"trainer.prompts_per_step={prompts}: must be divisible by trainer.devices={devices}")
    size = lookup(config, "dataset.size")
    if size is not None and size < prompts:
        raise UserError(f"dataset.size={size}: fewer problems than trainer.prompts_per_step={prompts}")
    if config["stage_name"] == "sft":
        return
    horizon = lookup(config, "algorithm.kl_control.horizon")
    if horizon is not None and horizon <= prompts * config["rollout"]["samples"] / 5:
        raise UserError(
            f"algorithm.kl_control.horizon={horizon}: at most a fifth of the completions of a step "
            f"({prompts * config['rollout']['samples']}), so that the coefficient could fall to 0 or below; raise it"
        )
    completions, mini_batches = prompts // devices * config["rollout"]["samples"], config["algorithm"]["mini_batches"]
    if completions % mini_batches:
        raise UserError(
            f"algorithm.mini_batches={mini_batches}: must divide the {completions} completions of a process's step "
            "(trainer.prompts_per_step / trainer.devices · rollout.samples)"
        )
