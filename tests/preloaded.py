"""What every run imports, which takes longer than the run: imported once, in the process that runs are forked from."""

from importlib import import_module

from lmm_r1.cli.environment import prepare_environment

prepare_environment()
import_module("lmm_r1.training.run")
import_module("lmm_r1.rollout.vllm_setup").import_vllm()
