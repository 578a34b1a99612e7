# Every target sets up .venv/ on its first use. Choose the interpreter with: make PYTHON=python3.12 demo
PYTHON ?= python3
BIN    := .venv/bin
READY  := .venv/.ready
LOG    := .venv/install.log
PIP    := $(BIN)/python -m pip install --progress-bar off --disable-pip-version-check
PARTS  := $(patsubst %/pyproject.toml,%,$(wildcard recipes/*/pyproject.toml plugins/*/pyproject.toml))

.PHONY: help demo test test-all lint docs dist speed reliability clean

help:
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' Makefile | expand -t 18

demo: $(READY) ## train and compare four methods on synthetic scans (minutes on two cores)
	$(BIN)/wsseg bench run benchmarks/demo/suite.yaml --out runs/demo

test: $(READY) ## run the fast tests, in two processes with a thread each
	OMP_NUM_THREADS=1 LOKY_MAX_CPU_COUNT=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

test-all: $(READY) ## run all tests
	$(BIN)/pytest

lint: $(READY) ## check style, types and imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

docs: $(READY) ## build the documentation as a site in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet
	@echo "Open site/index.html in a browser."

dist: $(READY) ## build and check the wheels and sdists of all distributions in dist/
	rm -rf dist
	@for part in . $(PARTS); do $(BIN)/python -m build --no-isolation --outdir dist $$part || exit 1; done
	$(BIN)/python -m twine check --strict dist/*

speed: $(READY) ## measure time and memory, and update benchmarks/speed
	$(BIN)/python -m benchmarks.speed

reliability: $(READY) ## damage inputs and kill runs, and update benchmarks/reliability
	$(BIN)/python -m benchmarks.reliability --jobs 2

clean: ## delete .venv/, runs/ and everything else that is generated
	rm -rf .venv runs site build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Run again only when a pyproject.toml changes.
$(READY): pyproject.toml $(PARTS:%=%/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "wsseg needs Python 3.11 or newer; choose one with: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	@echo "Installing wsseg and its packages into .venv/, in some minutes; the log is $(LOG)"
	@{ $(PIP) hatchling editables && $(PIP) --no-build-isolation -e ".[dev]" $(PARTS:%=-e %) || \
	  echo "pip failed"; } 2>&1 | tee $(LOG) | sh -c "$$SHOW_STEPS"
	@if grep -qx "pip failed" $(LOG); then tail -n 20 $(LOG); echo "The full log is $(LOG)"; exit 1; fi
	@touch $@

# Of the output of pip: every 20th package, downloads of at least 10 MB, and the last step. A loop
# shows each line at once; some versions of awk wait for more input.
define SHOW_STEPS
set -f
found=0
while read -r line; do
  set -- $$line
  case $$line in
    "Collecting "*)
      found=$$((found + 1))
      if [ $$((found % 20)) = 0 ]; then echo "  $$found packages found"; fi ;;
    "Downloading "*"("[0-9][0-9]*"MB)" | "Downloading "*"GB)") echo "  downloading $$2 $$3 $$4" ;;
    "Installing collected packages"*)
      if [ $$# -gt 10 ]; then echo "  installing $$(($$# - 3)) packages"; fi ;;
  esac
done
endef
export SHOW_STEPS
