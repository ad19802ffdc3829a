# gatewatch: `make demo` needs nothing but Python 3.11 or newer; `make help` lists the rest.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# Nothing is compiled here and no build tool is fetched besides the pinned one.
PIP    := $(BIN)/python -m pip --disable-pip-version-check --require-virtualenv
EDITABLE := install --quiet --constraint constraints.txt --no-build-isolation --editable
UV     := uv==0.13.9
COMPOSE  := docker compose --env-file .cache/compose.env

.DEFAULT_GOAL := help
.PHONY: help demo test check bench chaos soak fuzz up down lock clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: $(VENV)/run.stamp ## install, then watch simulated attacks being found; DURATION=30 ends it after 30 s
	$(BIN)/gatewatch demo $(if $(DURATION),--duration $(DURATION))

# Most of the time of a test with Kafka is waiting, so that two share a core well; each process has its own broker.
test: $(VENV)/dev.stamp ## all tests; ARGS="-k routes" passes on to pytest
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal $(ARGS)

check: $(VENV)/dev.stamp ## lint, format, types, import contracts, generated documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m stream.docs --check README.md

bench: $(VENV)/dev.stamp ## throughput on a real Kafka beside raw confluent-kafka
	$(BIN)/python -m tests.benchmarks.throughput $(ARGS)

chaos: $(VENV)/dev.stamp ## faults against the guarantee; TRIALS=100 SEED=1, ARGS="--only 1007" repeats a trial
	$(BIN)/python -m tests.chaos --trials $(or $(TRIALS),8) --jobs 2 $(if $(SEED),--seed $(SEED)) $(ARGS)

soak: $(VENV)/dev.stamp ## half an hour at half of the capacity: memory, lag and latency; ARGS="--minutes 2"
	$(BIN)/python -m tests.benchmarks.soak $(ARGS)

fuzz: $(VENV)/dev.stamp ## a million mutated and random records through every format
	$(BIN)/python -m tests.fuzz_adapters --records 1000000 $(ARGS)

up: .cache/compose.env ## Kafka, two workers, simulator, Prometheus and Grafana in Docker
	COMPOSE_PROFILES=demo $(COMPOSE) up --build --detach --wait
	@echo 'Grafana: http://127.0.0.1:3000 (user admin, password in .cache/compose.env)'

down: .cache/compose.env ## stop them; VOLUMES=1 also forgets their data
	COMPOSE_PROFILES=demo $(COMPOSE) down $(if $(VOLUMES),--volumes)

lock: $(VENV)/dev.stamp ## renew constraints.txt to the newest versions that pyproject.toml allows
	printf '%s\n' 'hatchling>=1.27' editables | $(BIN)/uv pip compile pyproject.toml - --all-extras --universal \
	  --python-version 3.11 --upgrade --no-header --no-annotate --quiet --output-file .cache/constraints.txt
	{ sed '/^[^#]/,$$d' constraints.txt; cat .cache/constraints.txt; } > .cache/constraints.new
	mv .cache/constraints.new constraints.txt

clean: ## remove the virtual environment, caches and what was built
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build

# Both stamps are older than pyproject.toml or constraints.txt when there is something to install.
$(VENV)/run.stamp: pyproject.toml constraints.txt | $(VENV)/ready
	$(PIP) $(EDITABLE) .
	@touch $@

# uv is several times as fast with that many packages; pip knows more ways to a mirror, and takes over where uv finds none.
$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(VENV)/ready
	$(PIP) install --quiet $(UV)
	$(BIN)/uv pip $(EDITABLE) '.[dev]' --python $(BIN)/python || $(PIP) $(EDITABLE) '.[dev]'
	@touch $@ $(VENV)/run.stamp

$(VENV)/ready:
	@$(PYTHON) -c 'import sys; sys.exit("gatewatch needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] \
	  + ": make PYTHON=python3.12 …" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --constraint constraints.txt hatchling editables
	@touch $@

# Passwords of this machine's own, made once, readable by their owner only.
.cache/compose.env:
	@mkdir -p .cache
	@umask 077 && $(PYTHON) -c 'import secrets; print("GRAFANA_ADMIN_PASSWORD=" + secrets.token_urlsafe(18) \
	  + "\nGATEWATCH_WEB__TOKEN=" + secrets.token_urlsafe(32))' > $@
