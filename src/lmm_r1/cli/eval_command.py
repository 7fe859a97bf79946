"""`eval.py`: from the composed configuration to the accuracy of a model on a benchmark."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.console import Console

from lmm_r1.cli.command_line import parse_overrides
from lmm_r1.cli.composition import compose_config, plain
from lmm_r1.cli.endings import append_line, ending_in_log
from lmm_r1.cli.inputs import check_evaluation_inputs
from lmm_r1.cli.places import check_place, saying_what_is_saved
from lmm_r1.cli.run_folder import CACHE, folder_to_resume, read_config, rescored_config, resumed_config, write_config
from lmm_r1.cli.run_lock import claimed
from lmm_r1.cli.run_start import starting
from lmm_r1.cli.user_errors import one_line_errors
from lmm_r1.cli.validate import validate_evaluation

Config = dict[str, Any]
LOG_FILE = "eval.log"


class EvalCommand:
    """See `lmm_r1.cli.launch.Command`."""

    name = "eval"
    help = """Measure a model on a benchmark: completions are stored first and scored in a second pass.

  python eval.py model.path=outputs/fre/latest/export benchmark=synthetic
  python eval.py model.path=outputs/fre/latest/export samples=8 temperature=1.0
  python eval.py model.path=outputs/mgt/latest/export images=blank   does it look at the pictures?
  python eval.py resume=latest                  generate what is missing after an interruption
  python eval.py rescore=latest reward=lmm_r1   score the stored completions again, without a model"""

    def answer(self, overrides: Sequence[str]) -> bool:
        return False

    def check(self, jobs: Sequence[Sequence[str]]) -> Path | None:
        finals = []
        for overrides in jobs:
            composed = plain(compose_config(self.name, overrides))
            validate_evaluation(composed)
            finals.append(final_config(composed, overrides))
            check_place(composed, "eval", finals[-1][1], overrides)
        for config, _ in finals:
            check_evaluation_inputs(config)
        return finals[-1][1]


def evaluate(composed: DictConfig) -> None:
    """Evaluate what was composed: generate and store, score, print the table."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    goes_on = (composed.resume or composed.rescore) is not None
    with (
        one_line_errors(),
        claimed(folder, 0),
        starting(folder, resumed=goes_on) as begun,
        ending_in_log(folder / LOG_FILE, 0),
        saying_what_is_saved(folder, lambda: f"make room and go on with: python eval.py resume={folder}"),
    ):
        config = _open_folder(plain(composed), folder)
        rescores = config["rescore"] is not None
        results = _score(config, folder) if rescores else _generate_and_score(config, folder, begun)
        begun()
        Console().print(results.table())
        Console().print(f"{folder / 'results.json'}", soft_wrap=True)


def final_config(composed: Config, overrides: Sequence[str]) -> tuple[Config, Path | None]:
    """The configuration of the evaluation, and the folder to go on in when it is an earlier one's."""
    earlier = composed["resume"] or composed["rescore"]
    if earlier is None:
        return composed, None
    key = "resume" if composed["resume"] is not None else "rescore"
    folder = folder_to_resume(key, earlier, Path(composed["output_root"]) / "eval")
    keys = [override.key_or_group for override in parse_overrides(overrides)]
    merge = resumed_config if key == "resume" else rescored_config
    return merge(read_config(folder), composed, keys), folder


def _open_folder(composed: Config, folder: Path) -> Config:
    overrides = list(HydraConfig.get().overrides.task)
    config, earlier = final_config(composed, overrides)
    path = Path(config["model"]["path"]).expanduser()
    if path.is_dir():
        # Through links such as `latest`, which may point elsewhere tomorrow.
        config["model"]["path"] = str(path.resolve())
    command = f"python eval.py {shlex.join(overrides)}"
    append_line(folder / LOG_FILE, command)
    if earlier is None or config["rescore"] is not None:
        write_config(folder, {**config, "rescore": None}, command)
    return config


def _score(config: Config, folder: Path) -> Any:
    from lmm_r1.evaluation.benchmark import score_benchmark

    reward = instantiate(config["reward"], _convert_="all")
    try:
        return score_benchmark(folder, reward)
    finally:
        reward.close()


def _generate_and_score(config: Config, folder: Path, begun: Callable[[], None]) -> Any:
    # Only now: these take seconds, and everything has been checked.
    from lmm_r1.evaluation.benchmark import evaluate as evaluate_benchmark
    from lmm_r1.training.lineage import data_fingerprint, model_fingerprint
    from lmm_r1.types import Sampling

    rollout = instantiate(config["rollout"], _convert_="all")
    problems = instantiate(config["benchmark"]["problems"], _convert_="all")
    checked = _checked(problems, config, rollout, folder)
    reward = instantiate(config["reward"], _convert_="all")
    engine = rollout.engine(model_path=config["model"]["path"])
    try:
        return evaluate_benchmark(
            engine,
            _with_images(checked, config),
            reward,
            Sampling(config["samples"], config["temperature"], rollout.max_new_tokens),
            folder,
            config["seed"],
            config["batch_size"],
            {
                "model": config["model"]["path"],
                "system_prompt": config["model"]["system_prompt"] or "",
                "benchmark": json.dumps(config["benchmark"]["problems"]),
                "images": config["images"],
                "data": data_fingerprint(problems),
                "weights": model_fingerprint(config["model"]["path"]),
            },
            begun,
        )
    finally:
        engine.close()
        reward.close()


def _checked(problems: Any, config: Config, rollout: Any, folder: Path) -> Any:
    """The problems of the benchmark, with what is known to be bad among them listed in the folder."""
    from lmm_r1.disk_cache import DiskCache
    from lmm_r1.evaluation.bad_rows import BAD_ROWS, BadRowsFile
    from lmm_r1.evaluation.checked import checked_problems, prompt_check_of

    return checked_problems(
        "benchmark",
        problems,
        prompt_check_of(config["model"]["path"], rollout.engine.keywords, rollout.max_new_tokens),
        DiskCache(folder / "checks", Path(config["output_root"]) / CACHE),
        BadRowsFile.opened(folder / BAD_ROWS),
        config["min_usable_share"],
    )


def _with_images(problems: Any, config: Config) -> Any:
    """The problems with their pictures as given, or replaced."""
    if config["images"] == "as_given":
        return problems
    from lmm_r1.data.replaced_images import REPLACEMENTS, ReplacedImages

    return ReplacedImages(problems, REPLACEMENTS[config["images"]], config["seed"])
