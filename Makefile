# make run    the central system with admin, both OCPP ports and a simulated fleet
# make test   the tests, on SQLite and on PostgreSQL; ARGS=--slow: also those that take long
# make check  format, lint, types, layers, known vulnerabilities of dependencies
# make faults  kills and outages under a charging fleet: ROUNDS=200 on each database
# make bench  the benchmarks        make format  rewrite the format        make clean
# make fuzz   fuzzing led by coverage, MINUTES=5

PYTHON ?= python3
DEMO ?= 1
ROUNDS ?= 200
MINUTES ?= 5
BIN := .venv/bin
MANAGE := $(BIN)/python manage.py
PYTEST := $(BIN)/python -m pytest -n 3 --dist worksteal $(ARGS)

.PHONY: help run test check faults bench fuzz format clean

help:
	@sed -n '/^# make/s/^# //p' Makefile

run: export CSMS_DEMO = $(if $(filter-out 0 no false,$(DEMO)),1,0)
run: .venv/installed
	@$(MANAGE) migrate --verbosity 0
	@$(MANAGE) ensure_admin
	@$(MANAGE) serve

test: .venv/installed-dev
	@status=0; \
	echo "== on SQLite"; $(PYTEST) || status=1; \
	echo "== on PostgreSQL"; CSMS_TEST_DATABASE=postgresql $(PYTEST) || status=1; \
	exit $$status

check: export CSMS_DATA_DIR = .venv/check
check: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MANAGE) check
	$(MANAGE) makemigrations --check --dry-run
	$(BIN)/python .ci/audit.py

faults: .venv/installed-dev
	$(BIN)/python -m tests.faults --rounds $(ROUNDS) $(ARGS)

bench: .venv/installed-dev
	$(BIN)/python -m bench $(ARGS)

fuzz: .venv/installed-dev
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES) $(ARGS)

format: .venv/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment is made once; a changed list of requirements is installed at the next command.

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or later is needed: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || { \
	  echo "Python's venv module is missing (Debian: apt install python3-venv)." >&2; exit 1; }
	@echo "Making .venv"
	@$(PYTHON) -m venv .venv

.venv/installed: requirements.txt | .venv/bin/python
	@echo "Installing requirements.txt"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/installed-dev: requirements-dev.txt requirements.txt | .venv/bin/python
	@echo "Installing requirements-dev.txt"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
