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

$(STAMP): requirements-common.txt requirements-dev.txt $(REQUIREMENTS) pyproject.toml
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

# Other trainers bring their own pins, so what is compared with them lives apart. verl wants an older transformers than
# the project's; its functions are plain torch and run without what it asks for.
CONFORMANCE := .venv-conformance
VERL := verl==0.9.1
$(CONFORMANCE)/installed: requirements-conformance.txt requirements-common.txt requirements-dev.txt Makefile
	@rm -f $@
	@test -x $(CONFORMANCE)/bin/python || $(PYTHON) -m venv $(CONFORMANCE)
	$(CONFORMANCE)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-conformance.txt || \
	$(CONFORMANCE)/bin/python -m pip install --quiet --disable-pip-version-check --extra-index-url $(TORCH_CPU_INDEX) -r requirements-conformance.txt
	$(CONFORMANCE)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps $(VERL)
	@touch $@

train: $(STAMP)  ## train the laptop's FRE policy, from the shipped tiny model, in minutes
	$(BIN)/python train.py stage=fre

test: $(STAMP)  ## run every test, the slow ones included
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

coverage: $(STAMP)  ## run every test and say which lines none of them reached (htmlcov/index.html)
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder --cov --cov-report=html --cov-report=term

mutants: $(STAMP)  ## break the verifier in every way we know and see a test fail for each
	$(BIN)/python tests/mutation/verifier.py

conformance: $(CONFORMANCE)/installed  ## compare the algorithms with TRL's and verl's own code, in an environment of its own
	$(CONFORMANCE)/bin/python -m pytest -q tests/conformance

# A measurement that fails must not cost the result of the one before.
measure = $(BIN)/python perf/$(1).py $(2) > perf/results/$(1).md.new && mv perf/results/$(1).md.new perf/results/$(1).md
bench: $(STAMP) $(CONFORMANCE)/installed  ## measure speed beside other tools (perf/README.md), best on a quiet machine
	PYTHONPATH=src:. $(call measure,rewards)
	PYTHONPATH=src $(call measure,update)
	PYTHONPATH=src $(call measure,rollout_store)
	PYTHONPATH=src $(call measure,checkpoint)
	PYTHONPATH=src $(call measure,scaling)
	PYTHONPATH=src $(call measure,step,--trl-python $(CONFORMANCE)/bin/python)

lint: $(STAMP)  ## check style
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

# Four lessons: language, then reading short figures, then everything, then the habit of answering at a glance.
# Two processes of one thread each, on every machine: the number of threads decides the last bits of a sum.
SUPERVISED := $(BIN)/python train.py stage=sft trainer=ddp_cpu trainer.validate_every=0
LESSON := $(SUPERVISED) sft.build=null model.path=$$(realpath outputs/sft/latest/export)
TEXT := text_only
VISION := vision_only
tiny: $(STAMP)  ## teach a new tiny model from random weights and put it into models/tiny
	$(SUPERVISED) trainer.steps=800 sft.learning_rate=3e-3 \
	  'dataset.renderings=[$(TEXT),$(TEXT),$(TEXT),$(TEXT),$(TEXT),$(TEXT),$(TEXT),$(TEXT),text_dominant,text_lite,vision_dominant,$(VISION)]'
	$(LESSON) trainer.steps=500 \
	  'dataset.families=[chain,chain,chain,shape]' 'dataset.difficulty=[2,2]' 'dataset.validation.difficulty=[2,4]' \
	  'dataset.renderings=[$(TEXT),text_lite,$(VISION),$(VISION),$(VISION),$(VISION)]'
	$(LESSON) trainer.steps=900 'dataset.families=[chain,chain,shape]' \
	  'dataset.renderings=[$(TEXT),$(TEXT),$(TEXT),text_dominant,text_lite,text_lite,vision_dominant,$(VISION),$(VISION),$(VISION)]'
	$(LESSON) trainer.steps=150 sft.learning_rate=5e-4 \
	  dataset.steps_share.text_only=0.35 dataset.steps_share.text_dominant=0.35 \
	  dataset.steps_share.text_lite=0.2 dataset.steps_share.vision_dominant=0.2 dataset.steps_share.vision_only=0.2
	$(BIN)/python -m lmm_r1.models.ship outputs/sft/latest/export models/tiny

.PHONY: help setup train test coverage lint tiny mutants conformance bench
