# make run       the playground; without a terminal a minute of training, then a story
#                (needs nothing but python3 and a network for the install)
# make test      the tests
# make check     format, lint, types, import contracts, tests: what CI runs. What is covered of the engine and the models is counted
#                in their own tests; to count it in those of the interface would cost a quarter of all the time
# make bench     the measured claims, all in their short form: a quarter of an hour (benchmarks/README.md)
# make bench-ui  the playground at length
# make soak      20 minutes of training under load, and 100,000 hostile files: SOAK_MINUTES=2 make soak is a try
# make search    more cases, and other ones each time, for the tests that make up their own: minutes
# make starter   the small model that is built in, anew: ten minutes on two cores, then it lies in models/starter

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Tests are many small processes: more threads in each would only wait for each other.
# Trainers in the background give way to whoever started them; at the lowest priority nobody has to wait for that.
TEST := OMP_NUM_THREADS=1 nice -n 19 $(BIN)/pytest -q -n 2 --dist worksteal

.PHONY: run demonstration test check soak search format bench bench-ui starter clean

run: $(VENV)/.runs
	@if [ -t 0 ] && [ -t 1 ] && [ -t 2 ]; then $(BIN)/tinygpt-tui; else $(MAKE) --no-print-directory demonstration; fi

demonstration: $(VENV)/.runs
	$(BIN)/tinygpt train tales --time 60s
	@echo
	$(BIN)/tinygpt sample -n 600 --temperature 0.5 --seed 1
	@echo

test: $(VENV)/.tests
	$(TEST)

check: $(VENV)/.tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(TEST) tests/engine tests/models --cov --cov-report=term:skip-covered --cov-fail-under=85
	$(TEST) tests --ignore=tests/engine --ignore=tests/models

soak: $(VENV)/.tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -s -m soak

search: $(VENV)/.tests
	HYPOTHESIS_PROFILE=search $(TEST) -m hypothesis

format: $(VENV)/.tests
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.runs
	$(BIN)/python -m benchmarks

bench-ui: $(VENV)/.runs
	$(BIN)/python -m benchmarks.ui

starter: $(VENV)/.runs
	$(BIN)/python -m engine.starter make

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runs: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet --editable .
	@touch $@

$(VENV)/.tests: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.runs

clean:
	rm -rf $(VENV) build dist .coverage* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
