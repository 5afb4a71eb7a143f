# `make up` and `make test` need Python 3.11 or newer and make. Settings are environment variables: see README.md.
PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
WORKERS ?= 3

.PHONY: up test test-long lint bench docs lock mutants

up: .venv/installed
	@$(BIN)/chorus up $(ARGS) || { code=$$?; [ $$code -eq 130 ] || exit $$code; } # Ctrl-C is how one stops it

test: .venv/installed-dev
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal -m "not long" $(ARGS)

# What takes longer, and all that runs on servers as production has them: who lacks one of those is told which package.
test-long: .venv/installed-dev
	@CI=true $(BIN)/pytest -n 2 -m "long or production" --timeout 1800 $(ARGS)

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/installed
	@$(BIN)/chorus bench $(ARGS)

# Breaks the code on purpose, in a copy, and shows which test notices; ARGS=--write renews the README's table.
mutants: .venv/installed-dev
	@$(BIN)/python -m tests.mutants.run $(ARGS)

# The tables of the README that are made from the code.
docs: .venv/installed
	@$(BIN)/python -m services.settings_table

# Versions with hashes and no address of an index, so that everybody installs from the index that they trust.
lock: .venv/installed-dev
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --universal --generate-hashes --no-header --no-annotate --no-emit-index-url \
		--python-version 3.11 -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --python-version 3.11 -c requirements.lock -o requirements-dev.lock

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Chorus needs Python 3.11 or newer, this is " + sys.version) if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv .venv

# The stamps hold the lock that was installed: a checkout's new times alone install nothing again.
.venv/installed: .venv/bin/python requirements.lock pyproject.toml
	@cat requirements.lock pyproject.toml | cmp -s - $@ || { \
		echo "Installing the locked requirements..." && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . && \
		cat requirements.lock pyproject.toml > $@; }
	@touch $@

.venv/installed-dev: .venv/installed requirements-dev.lock
	@cmp -s requirements-dev.lock $@ || { \
		echo "Installing the locked requirements of the tests..." && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock && \
		cp requirements-dev.lock $@; }
	@touch $@
