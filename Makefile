# `make demo` and `make test` do all their set-up themselves, in .venv/ beside this file.
PYTHON ?= python3
BIN    := .venv/bin
READY  := .venv/.ready
PIP    := $(BIN)/python -m pip install --progress-bar off --quiet --disable-pip-version-check
PARTS  := $(patsubst %/pyproject.toml,%,$(wildcard recipes/*/pyproject.toml plugins/*/pyproject.toml))

.PHONY: demo test test-all speed reliability lint clean

demo: $(READY)
	$(BIN)/wsseg bench run benchmarks/phantom/suite.yaml --out runs/demo

test: $(READY)
	$(BIN)/pytest -m "not slow"

test-all: $(READY)
	$(BIN)/pytest

speed: $(READY)
	$(BIN)/python -m benchmarks.speed

reliability: $(READY)
	$(BIN)/python -m benchmarks.reliability

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

clean:
	rm -rf .venv runs build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Made anew only when a pyproject.toml changed: a second call installs nothing.
$(READY): pyproject.toml $(PARTS:%=%/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "wsseg needs Python 3.11 or newer; name one with: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(PIP) hatchling editables
	$(PIP) --no-build-isolation -e ".[dev]" $(PARTS:%=-e %)
	@touch $@
