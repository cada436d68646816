# Everything a developer runs. Each target first makes .venv when the locks or pyproject.toml have changed.
.DEFAULT_GOAL := help
.PHONY: help setup demo test quick lint format docs bench locks bundle clean

BIN := .venv/bin
JOBS := .venv-jobs/bin
READY := .venv/.ready
PEERS := .venv-peers/.ready
SPREAD := --numprocesses auto --dist loadfile --no-loadscope-reorder
DATA ?=
ONLY ?=

# Tests start many processes, and pytest rewrites every assertion: both are compiled once and kept.
unexport PYTHONDONTWRITEBYTECODE

$(READY): pyproject.toml $(wildcard locks/*.txt) scripts/setup
	scripts/setup

$(PEERS): $(READY) locks/peers.txt scripts/peers
	scripts/peers

help:  ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup:  ## Install what is needed (safe to run again)
	scripts/setup

demo: $(READY)  ## Credit file to proven model, in a throw-away home; DATA=FILE takes a real file
	$(BIN)/muni demo $(if $(DATA),--data $(DATA))

test: $(READY) $(PEERS) lint  ## Lint, types, import contracts and every test, on SQLite and PostgreSQL
	$(BIN)/python -m pytest $(SPREAD)
	$(JOBS)/python -m pytest $(SPREAD) tests/programs

quick: $(READY)  ## The tests of every day, on SQLite: about a minute
	$(BIN)/python -m pytest $(SPREAD) --hypothesis-profile quick -m "not slow" -k "not postgres"

lint: $(READY)  ## Format, lint, types, import contracts
	$(BIN)/ruff format --check --quiet
	$(BIN)/ruff check --quiet
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(READY)  ## Put the sources into the one format
	$(BIN)/ruff check --fix --quiet
	$(BIN)/ruff format --quiet

docs: $(READY)  ## Write the generated reference pages
	$(BIN)/python scripts/reference.py

bench: $(READY) $(PEERS)  ## Measure against the bars, one table; ONLY="seal startup" takes some
	$(BIN)/python bench $(ONLY)

locks: $(READY)  ## Resolve the dependencies again, with hashes
	scripts/lock

bundle: $(READY)  ## Everything for a machine without a network, in one file
	scripts/bundle

clean:  ## Remove what was built here (.venv too)
	rm -rf .venv .venv-jobs .venv-peers build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
