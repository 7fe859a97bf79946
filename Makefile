# Every target does its own set-up: a virtual environment in the checkout with the pinned requirements.
# The machine decides between the GPU and the CPU installation; `make … VARIANT=cpu` (or gpu) overrides it.

PYTHON ?= $(or $(shell command -v python3.11),python3)
VARIANT ?= $(if $(shell command -v nvidia-smi 2>/dev/null),gpu,cpu)
REQUIREMENTS := $(if $(filter gpu,$(VARIANT)),requirements.txt,requirements-cpu.txt)
# Where pip's index has no CPU build of torch (PyPI has none), PyTorch's own index is added.
TORCH_CPU_INDEX ?= https://download.pytorch.org/whl/cpu

BIN := .venv/bin
STAMP := .venv/installed-$(VARIANT)
# Spinning OpenMP threads slow a machine with other work on it many times over; torch reads this at import.
export OMP_WAIT_POLICY ?= PASSIVE

.DEFAULT_GOAL := help

help:  ## explain the targets
	@grep -hE '^[a-z-]+:.*  ## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*  ## /  make \1|/' | column -t -s '|'
	@echo "  installation here: VARIANT=$(VARIANT) ($(REQUIREMENTS))"

setup: $(STAMP)  ## install into .venv (the other targets do it by themselves)

$(STAMP): requirements-common.txt $(REQUIREMENTS) pyproject.toml
	@echo "installing the $(VARIANT) variant: $(REQUIREMENTS) (VARIANT=cpu or VARIANT=gpu chooses)"
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) not found; install Python 3.11 or name one: make setup PYTHON=…"; exit 2; }
	@rm -f .venv/installed-*
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
ifeq ($(VARIANT),gpu)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $(REQUIREMENTS)
else
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $(REQUIREMENTS) || \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --extra-index-url $(TORCH_CPU_INDEX) -r $(REQUIREMENTS)
endif
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

train: $(STAMP)  ## train the laptop's FRE policy, from the shipped tiny model, in minutes
	$(BIN)/python train.py stage=fre

test: $(STAMP)  ## run every test, the slow ones included
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

lint: $(STAMP)  ## check style
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

tiny: $(STAMP)  ## rebuild the shipped tiny model from its seed
	$(BIN)/python train.py stage=sft
	$(BIN)/python -m lmm_r1.models.ship outputs/sft/latest/export models/tiny

.PHONY: help setup train test lint tiny
