# The words a person types; CI types the same ones.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# Tests and benches start many processes, each of which would compile everything anew without files to keep it in.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("Learning Hub needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@echo "Making the environment in $(VENV) (once, about a minute)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: requirements/run.txt pyproject.toml | $(BIN)/python
	@$(PIP) install --require-hashes -r requirements/build.txt
	@$(PIP) install --require-hashes -r requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt $(VENV)/run.stamp
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/bench.stamp: requirements/bench.txt $(VENV)/dev.stamp
	@$(PIP) install --require-hashes -r requirements/bench.txt
	@touch $@

setup: $(VENV)/dev.stamp ## Make the environment in .venv with everything that tests and checks need

demo: $(VENV)/run.stamp ## See it work: the hub, an iMIS and a dozen events (ONCE=1 exits afterwards)
	@$(BIN)/learning-hub demo $(if $(ONCE),--once)

serve: $(VENV)/run.stamp ## Start the hub on http://127.0.0.1:8000 with its embedded database
	@$(BIN)/learning-hub serve

test-quick: setup ## Run the tests of rules in Python and SQL, in half a minute
	@$(BIN)/python -m pytest -n 2 -q -m quick tests/unit tests/integration

test: setup ## Run every test against real PostgreSQL and real HTTP
	@$(BIN)/python -m pytest -n 6 -q

# Every part of a run takes its chance from SEED; with the same one a failure is likely to come again.
faults: setup ## Let lines fail and kill hubs at random, for half an hour (SEED=… repeats a run, ONLY=… one part)
	@seed=$${SEED:-$$($(BIN)/python -c 'import secrets; print(secrets.randbelow(1000000))')}; \
	repeat="make faults SEED=$$seed$(if $(ONLY), ONLY=$(ONLY))"; echo "To repeat this run: $$repeat"; \
	LEARNING_HUB_TEST_FAULTS=long LEARNING_HUB_TEST_SEED=$$seed $(BIN)/python -m pytest -v -rP --show-capture=stdout \
		tests/faults tests/integration/test_delivery_machine.py $(if $(ONLY),-k '$(ONLY)') \
	|| { echo "To repeat this run: $$repeat"; exit 1; }

check: setup ## Format, lint, types, layers, OpenAPI: reads only
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/learning-hub openapi --check openapi/openapi.json

fix: setup ## Format and mend what can be mended
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

openapi: $(VENV)/run.stamp ## Write openapi/openapi.json
	@$(BIN)/learning-hub openapi --output openapi/openapi.json

catalog: setup ## Write learning_hub/store/catalog.json, what the database must have, from schema.sql
	@$(BIN)/python tests/write_catalog.py

$(VENV)/clients.stamp: requirements/clients.txt $(VENV)/dev.stamp
	@$(PIP) install --require-hashes -r requirements/clients.txt
	@touch $@

clients: $(VENV)/clients.stamp ## Generate clients from openapi.json, compile and use them (ONLY=python or typescript)
	@$(BIN)/python tests/clients/try_clients.py $(ONLY)

bench: $(VENV)/bench.stamp ## Measure, write bench.json and draw the plots (some minutes)
	@$(BIN)/python -m bench

bench-quick: setup ## Measure for under a minute, and fail where a ratio has fallen far below its floor
	@$(BIN)/python -m bench --quick

lock: setup ## Write requirements/*.txt anew from pyproject.toml (needs uv on the PATH)
	@sh requirements/lock.sh

.PHONY: help setup demo serve test-quick test faults check fix openapi catalog clients bench bench-quick lock
