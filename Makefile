# On a fresh machine with Python 3.11 or later and make: `make demo`, `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
USABLE := $(VENV)/.usable
READY  := $(VENV)/.ready
MADE   := $(VENV)/.compiled
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

PROJECTS := pyproject.toml $(wildcard plugins/*/pyproject.toml)
KERNELS  := $(shell find plugins/g6-greeks/src -name '*.py')

.PHONY: demo test lint bench clean

demo: $(USABLE)
	$(BIN)/g6 demo

# What it makes of the tests is kept, for the processes of a run and for the next run.
test: export PYTHONDONTWRITEBYTECODE =
test: $(MADE)
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python bench/cycle.py
	$(BIN)/python bench/csv_rows.py
	$(BIN)/python bench/startup.py
	$(BIN)/python bench/greeks.py
	$(BIN)/python bench/accuracy.py

# setuptools comes first, so that the packages need no build environment each.
$(USABLE): $(PROJECTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "G6 needs Python 3.11 or later; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@echo "installing G6 into $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install "setuptools>=77"
	@$(PIP) install --no-build-isolation $(patsubst %/pyproject.toml,-e %,$(patsubst pyproject.toml,-e .,$(PROJECTS)))
	@touch $@

$(READY): $(USABLE) requirements-dev.txt
	@echo "installing what the tests need"
	@$(PIP) install --no-build-isolation -r requirements-dev.txt
	@touch $@

# Once, on all cores. Otherwise each of the processes that start together would make it for itself: the kernels'
# machine code, and what pytest makes of the tests. What is wrong with a test is told by the run itself.
$(MADE): $(READY) $(KERNELS)
	@echo "compiling the analytics"
	@$(BIN)/python -m pytest --collect-only -qq -n 0 > /dev/null 2>&1 & $(BIN)/python -m tests.compiled && { wait $$!; touch $@; }

clean:
	rm -rf $(VENV) build dist *.egg-info plugins/*/src/*.egg-info
