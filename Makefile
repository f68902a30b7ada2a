# Everything a fresh machine needs: Python 3.11 or newer, make, and a package index that pip can reach.
# `make demo` and `make test` create .venv where it is missing and bring it up to date where its declaration changed.

# Name another interpreter with `make PYTHON=/path/to/python3.12 ...`.
PYTHON  ?= python3.11
# Processes that pytest spreads over; each works with one thread.
WORKERS ?= 2

VENV  := .venv
PY    := $(VENV)/bin/python
STAMP := $(VENV)/.installed
RECENT := import sys; sys.exit(sys.version_info < (3, 11))

.PHONY: demo test lint format bench install

demo: $(STAMP)
	@$(PY) cli.py demo

test: lint
	@OMP_NUM_THREADS=1 $(PY) -m pytest -q -n $(WORKERS)

lint: $(STAMP)
	@$(PY) -m ruff check --quiet .
	@$(PY) -m ruff format --check --quiet .
	@$(PY) -m mypy --no-error-summary

format: $(STAMP)
	@$(PY) -m ruff check --quiet --fix .
	@$(PY) -m ruff format --quiet .

bench: $(STAMP)
	@$(PY) benchmarks/run.py

install: $(STAMP)
	@:

# The stamp is written last, so an interrupted installation is taken up again. A later change of the declaration updates
# the environment in place.
$(STAMP): pyproject.toml constraints.txt
	@for python in "$(PYTHON)" python3; do \
		if "$$python" -c '$(RECENT)' 2>/dev/null; then break; fi; python=; \
	done; \
	if [ -z "$$python" ]; then \
		echo "No Python 3.11 or newer as $(PYTHON) or python3. Install one, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; \
	fi; \
	if [ -d $(VENV) ]; then echo "Bringing $(VENV) up to date." >&2; \
	else echo "Installing into $(VENV): 2 to 4 minutes and 6 GB, most of it PyTorch." >&2; fi; \
	"$$python" -m venv $(VENV)
	@$(PY) -m pip install -qq --disable-pip-version-check -c constraints.txt -e ".[dev,offline]"
	@touch $(STAMP)
