# make run: from nothing to a first picture. make test: the tests. make help lists the rest.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The tests' arithmetic is tiny: more threads only wait for each other. Processes do help.
# Files go to them whole, as fixtures are made once for each, in the order they are collected in:
# xdist's own begins with the most tests, and so would end with one that takes minutes by itself.
SHARED_OUT := -n logical --maxprocesses=4 --dist loadfile --no-loadscope-reorder
PYTEST := OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest -q

.DEFAULT_GOAL := help
.PHONY: help setup run test test-slow test-clients test-api check format clean

help: ## show this
	@sed -n 's/^\([a-z-]*\):.*## /  make \1|/p' $(MAKEFILE_LIST) | column -t -s '|'

setup: $(STAMP) ## make .venv with everything in it

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Hexfusion needs Python 3.11 or newer; this is $$($(PYTHON) --version 2>&1)."; \
		echo "Name another one: make setup PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
		echo "$(PYTHON) cannot make a virtual environment (on Debian: apt install python3-venv)."; \
		exit 1; }
	$(BIN)/python -m pip install --editable '.[dev,upscalers]'
	@# Its torchvision would break diffusers beside some builds of torch, and is not needed (ADR 11).
	$(BIN)/python -m pip install --no-deps 'spandrel>=0.4.2'
	@touch $@

run: $(STAMP) ## start the server and make a first picture (PROMPT="...", ARGS="--port 7861 ...", ONCE=1)
	@$(BIN)/python tools/first_picture.py $(if $(ONCE),--once) \
		$(if $(PROMPT),--prompt "$(PROMPT)") -- $(ARGS)

test: $(STAMP) ## run the tests (ARGS="tests/domain -k flags")
	$(PYTEST) $(SHARED_OUT) -m "not slow" $(ARGS)

test-slow: $(STAMP) ## run the slow proofs
	$(PYTEST) -m slow $(ARGS)

test-clients: $(STAMP) ## run programs written for A1111 against the server (fetches them from PyPI and npm)
	$(BIN)/python -m tests.clients.run $(ARGS)

test-api: $(STAMP) ## try 10,000 requests against the OpenAPI document (fetches schemathesis)
	$(BIN)/python -m tests.schema.fuzz $(ARGS)

check: $(STAMP) ## lint, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@# mypy finds the package by its installed name, which no folder of the checkout has.
	@mkdir -p build/typing && ln -sfn ../.. build/typing/hexfusion
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(STAMP) ## put the code in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove .venv and what tools left behind; data/ stays
	rm -rf $(VENV) .run build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
