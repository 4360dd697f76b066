# make demo    set up, then the whole journey offline, in about a minute
# make test    set up, then lint, types and tests
# make bench   measurements, written as JSON to bench/results/
# make storm   long campaigns of kills and faults
# make fmt     format the code

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test bench storm fmt clean

demo: $(VENV)/.core
	$(BIN)/tracemill demo --out demo

test: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -m alone $(TESTS)
	$(BIN)/python -m pytest -n 5 --dist worksteal -m 'not alone and not storm and not bench' $(TESTS)

storm: $(VENV)/.dev
	EXAMPLES=long $(BIN)/python -m pytest -m storm -s $(TESTS)

bench: $(VENV)/.dev
	$(BIN)/python -m bench

fmt: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install -q -c constraints.txt -e .
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	touch $@ $(VENV)/.core

clean:
	rm -rf $(VENV) demo
