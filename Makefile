# Five words to run anything. Every target makes .venv first if it has to.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints/cpu.txt
DATA ?= data

.PHONY: help demo test test-slow lint bench bench-letor bench-training bench-objectives bench-quality bench-clicks \
  bench-losses bench-neural bench-embedding bench-retrieval bench-scorer bench-serve torture clean

help: ## Say what each target does
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(VENV)/base ## Train, evaluate, publish, serve and query, on DATA=DIR or the embedded collection
	@$(BIN)/python scripts/demo.py $(DATA)

test: $(VENV)/dev ## Install what the suite needs and run it
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: $(VENV)/dev ## What takes minutes: torture, the README's commands, compiling from nothing
	$(BIN)/python -m pytest -n 2 --dist loadfile -m slow

lint: $(VENV)/dev ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/dev ## Objectives on both boosters over MQ2008's five folds (reads RANKWRIGHT_DATA)
	$(BIN)/python -m benchmarks.mq2008

bench-letor: $(VENV)/dev ## LETOR reading beside scikit-learn (reads RANKWRIGHT_DATA)
	$(BIN)/python -m benchmarks.letor_load

bench-training: $(VENV)/dev ## Training beside the boosters' own objectives
	$(BIN)/python -m benchmarks.training_speed

bench-objectives: $(VENV)/dev ## Gradient, training, presets, memory and start beside the boosters' own
	$(BIN)/python -m benchmarks.objectives

bench-quality: $(VENV)/dev ## Every objective beside LightGBM, XGBoost and CatBoost; hours, and goes on after a stop
	$(PIP) -e '.[dev,bench]'
	$(BIN)/python -m benchmarks.quality

bench-clicks: $(VENV)/dev ## Training on simulated clicks over MQ2008, with and without correction
	$(BIN)/python -m benchmarks.clicks

bench-losses: $(VENV)/dev ## Pairwise torch losses beside allRank and sentence-transformers: time and memory
	$(PIP) -e '.[dev,bench]'
	$(BIN)/python -m benchmarks.losses

bench-neural: $(VENV)/dev ## Networks beside trees, CatBoost and allRank; an hour, and goes on after a stop
	$(PIP) -e '.[dev,bench]'
	$(PIP) --no-deps allrank
	$(BIN)/python -m benchmarks.neural

bench-embedding: $(VENV)/dev ## Losses on vectors beside three libraries, and digits learned with each
	$(PIP) -e '.[dev,bench]'
	$(BIN)/python -m benchmarks.embedding
	$(BIN)/python -m benchmarks.digits

bench-retrieval: $(VENV)/dev ## Search over real collections, each encoder (reads RANKWRIGHT_DATA); an hour
	$(PIP) -e '.[dev,bench]'
	$(BIN)/python -m benchmarks.retrieval

bench-scorer: $(VENV)/dev ## Scoring and explaining beside LightGBM, XGBoost and ONNX Runtime
	$(PIP) -e '.[dev,bench]'
	$(BIN)/python -m benchmarks.scorer

bench-serve: $(VENV)/dev ## The service beside a plain FastAPI handler
	$(BIN)/python -m benchmarks.serve_rank

torture: $(VENV)/dev ## What the service and the registry withstand; some 20 minutes
	$(BIN)/python -m benchmarks.torture

clean: ## Remove the environment and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/base: pyproject.toml constraints/cpu.txt | $(VENV)/bin/python
	$(PIP) -e .
	@touch $@

# The suite's own packages come on top of the base; torch is taken in its small CPU build.
$(VENV)/dev: pyproject.toml constraints/cpu.txt | $(VENV)/bin/python
	$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/base
