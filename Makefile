# `make setup` once, then `make quickstart`, `make test`, `make check`, `make docs`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
SAY = @printf '%s\n'

.DEFAULT_GOAL := help
.PHONY: help setup quickstart test slow check format docs dist clean

help:
	$(SAY) 'make setup       a virtual environment in $(VENV) with all that training and developing need' \
	       'make quickstart  train the default model on synthetic faces, then three published ones, and compare (under 6 minutes)' \
	       'make test        the fast tests' \
	       'make slow        the long tests' \
	       'make check       style, types and generated pages' \
	       'make format      put the style right' \
	       'make docs        the documentation, into site/' \
	       'make dist        the wheel and the source archive, into dist/' \
	       'make clean       remove what was built and cached; runs/ and $(VENV) stay'

setup: $(VENV)/.dev

quickstart: $(VENV)/.train
	$(BIN)/facelearn quickstart

test: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --max-worker-restart 0 --dist loadfile

slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m slow --timeout 1500

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python docs/generate.py --check

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.docs
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

dist: $(VENV)/.dev
	rm -rf dist
	$(BIN)/hatchling build

clean:
	rm -rf site build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find src tests docs -name __pycache__ -type d -prune -exec rm -rf {} +

# Each stamp is older than pyproject.toml or constraints.txt exactly when there is something to install again.
$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "facelearn needs Python 3.11 or newer, and '$(PYTHON)' is missing or older; type: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.train: $(VENV)/.created pyproject.toml constraints.txt
	$(SAY) 'installing facelearn and torch into $(VENV) (a minute or two) ...'
	@$(PIP) -e '.[train]'
	@touch $@

$(VENV)/.dev: $(VENV)/.train
	$(SAY) 'installing the development tools ...'
	@$(PIP) -e '.[train,dev]'
	@touch $@

$(VENV)/.docs: $(VENV)/.dev
	$(SAY) 'installing the documentation tools ...'
	@$(PIP) -e '.[train,docs]'
	@touch $@
