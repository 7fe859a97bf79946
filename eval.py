"""Measure a model: `python eval.py model.path=<folder> benchmark=synthetic`, `python eval.py --help`.

Completions are stored first (`lmm_r1.evaluation.benchmark`); scoring them is a second pass that can be repeated.
"""

import hydra
from omegaconf import DictConfig

from lmm_r1.cli.eval_command import EvalCommand, evaluate
from lmm_r1.cli.launch import launch


@hydra.main(version_base="1.3", config_path="conf", config_name="eval")
def main(config: DictConfig) -> None:
    evaluate(config)


if __name__ == "__main__":
    launch(main, EvalCommand())
