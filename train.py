"""Train one stage: `python train.py stage=fre`, `python train.py stage=mgt`, `python train.py --help`.

The configuration is composed from `conf/` (Hydra) and checked before anything heavy is imported; the method itself is
in `lmm_r1.training.run`, `lmm_r1.training.rollout_callback` and `lmm_r1.training.module`.
"""

import hydra
from omegaconf import DictConfig

from lmm_r1.cli.launch import launch
from lmm_r1.cli.train_command import TrainCommand, train


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(config: DictConfig) -> None:
    train(config)


if __name__ == "__main__":
    launch(main, TrainCommand())
