# Everything a newcomer needs: `make demo` shows it working, `make test` proves it.
PYTHON ?= python3
BIN := .venv/bin
KILLS ?= 10
OLDEST_POSTGRES ?= /usr/lib/postgresql/15/bin
DEMO ?=
SIZES ?=
BENCH ?=
GROWTH ?=
PEERS ?=

.PHONY: setup demo sizes test matrix lint conformance chaos bench growth peers screenshots clean

setup: .venv/ready

# The package's own build hook makes the console's assets and message catalogues.
.venv/ready: pyproject.toml hatch_build.py package-lock.json build.mjs $(wildcard frontend/*) $(wildcard src/campana/web/console/locale/*/LC_MESSAGES/*.po) $(wildcard src/campana/web/console/templates/*.html)
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo "Python 3.11 or newer with venv is needed (Debian: apt install python3-venv)." >&2; exit 1; }
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; give it as PYTHON=python3.11." >&2; exit 1; }
	@echo "Setting up .venv and the console's assets; the first time takes a minute or two." >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev >&2
	@touch $@

demo: setup
	@$(BIN)/campana demo $(DEMO)

# Small, middle and large on this machine, with kills: SQLite, PostgreSQL, PostgreSQL with three NATS servers. Five minutes.
sizes: setup
	@$(BIN)/python -m deploy.sizes $(SIZES)

test: setup
	$(BIN)/python -m pytest

# All tests on SQLite and on the newest PostgreSQL, then what uses a database on the oldest we promise, where it is installed.
matrix: setup
	$(BIN)/python -m pytest --database both
	@if test -x $(OLDEST_POSTGRES)/postgres; \
	then CAMPANA_TEST_POSTGRES_BIN=$(OLDEST_POSTGRES) $(BIN)/python -m pytest --database postgresql -k postgres; \
	else echo "There is no $(OLDEST_POSTGRES)/postgres: PostgreSQL 15 was left out (Debian: apt install postgresql-15)." >&2; fi
	$(BIN)/python -m tests.chaos.run --kills $(KILLS) --bus all

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Draws the pictures of the README and of docs/tour.md from the real pages.
screenshots: setup
	$(BIN)/python -m tests.browser.screenshots
	$(BIN)/python -m tests.browser.tour

# Checks our requests against the vendors' own API files, where they lie beside the project.
conformance: setup
	$(BIN)/python -m tests.conformance.check_requests

# Strikes processes at random moments, KILLS times on each database, then balances the books.
chaos: setup
	$(BIN)/python -m tests.chaos.run --kills $(KILLS)

# Figures, each beside its limit of the same run; exit 1 when a floor is missed.
bench: setup
	$(BIN)/python -m bench $(BENCH)

# What a message costs among 100,000, a million and five million people; exit 1 when it costs more among many. Half an hour.
growth: setup
	$(BIN)/python -m bench.growth $(GROWTH)

# What a Python programmer would do today, for comparison; needs Debian's package redis-server. Two minutes.
peers: setup .venv-peers/ready
	$(BIN)/python -m bench.peers $(PEERS)

.venv-peers/ready: bench/peers/requirements.txt
	@test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	@.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --requirement $< >&2
	@touch $@

clean:
	rm -rf .venv .venv-peers node_modules src/campana/web/console/static/dist
