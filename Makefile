# One line a verb: `make help`.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
AIRFLOW_BIN := .venv-airflow/bin
AIRFLOW_READY := .venv-airflow/.ready
AIRFLOW2_BIN := .venv-airflow2/bin
AIRFLOW2_READY := .venv-airflow2/.ready
AIRFLOW_PLUGINS := pipeline_assets/airflow_dags/plugins
# What Airflow runs is tested where Airflow is, in each of its versions.
AIRFLOW_TEST := -m pytest -c tests/airflow_dags/pytest.ini --confcutdir=tests/airflow_dags \
	$(AIRFLOW_PLUGINS) tests/airflow_dags
ifeq ($(DAGSTER_HOME),)
DAGSTER_HOME := $(CURDIR)/.pipeline/dagster
endif
export DAGSTER_HOME
# MLflow and matplotlib keep caches; inside the checkout they go with `make clean`.
export MPLCONFIGDIR ?= $(CURDIR)/.pipeline/matplotlib

.DEFAULT_GOAL := help
.PHONY: help setup demo ui sql mlflow-ui run stack airflow stack-demo stack-down test bench lint format lock clean

help: ## Explain every verb
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

setup: $(READY) ## Create .venv from requirements.lock (every other verb does it when needed)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"Python 3.11 or newer is needed, {sys.version.split()[0]} found; say PYTHON=python3.12 make ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/pip check
	@touch $(READY)

# Airflow in an environment of its own: it and the pipeline need nothing of each other.
$(AIRFLOW_READY): requirements-airflow.lock
	$(PYTHON) -m venv .venv-airflow
	$(AIRFLOW_BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-airflow.lock
	$(AIRFLOW_BIN)/pip check
	@touch $(AIRFLOW_READY)

# The folder that is copied into Airflow 3 works in Airflow 2 too.
$(AIRFLOW2_READY): requirements-airflow2.lock
	$(PYTHON) -m venv .venv-airflow2
	$(AIRFLOW2_BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-airflow2.lock
	$(AIRFLOW2_BIN)/pip check
	@touch $(AIRFLOW2_READY)

$(DAGSTER_HOME)/dagster.yaml: pipeline_assets/instance.yaml
	@mkdir -p $(DAGSTER_HOME) $(MPLCONFIGDIR)
	@cp pipeline_assets/instance.yaml $(DAGSTER_HOME)/dagster.yaml

HOME_READY := $(READY) $(DAGSTER_HOME)/dagster.yaml

demo: $(HOME_READY) ## Train and predict on real flights; says what came out and where to look
	$(BIN)/python -m pipeline_assets.demo

ui: $(HOME_READY) ## Dagster on 127.0.0.1:3000 and the mart page on 127.0.0.1:8000, over the same data; Ctrl-C ends both
	@$(BIN)/python -m pipeline_assets.mart_page & page=$$!; \
	trap 'kill $$page 2>/dev/null; wait $$page' EXIT; trap 'exit 130' INT TERM; \
	$(BIN)/dagster dev -w workspace.yaml -h 127.0.0.1 -p 3000

sql: $(HOME_READY) ## The marts in psql, wherever they are
	$(BIN)/python -m pipeline_assets.cli.sql

mlflow-ui: $(HOME_READY) ## MLflow on 127.0.0.1:5000, over the embedded registry
	$(BIN)/mlflow ui --backend-store-uri sqlite:///$(CURDIR)/.pipeline/mlflow/mlflow.db --host 127.0.0.1 --port 5000

run: $(HOME_READY) ## Run one batch: make run TASK=flight_delays STAGE=predict BATCH=2013-10
	$(BIN)/python -m pipeline_assets.cli.run $(TASK) $(STAGE) $(BATCH)

stack: $(READY) ## Start every real server on this machine; their variables go to .env.stack
	@$(BIN)/python -m pipeline_assets.stack up

airflow: stack $(AIRFLOW_READY) ## Airflow beside those servers, with the two DAGs of the demo; prints the log-in
	@$(BIN)/python -m pipeline_assets.stack airflow

stack-demo: $(READY) ## The demo on those servers
	@$(BIN)/python -m pipeline_assets.stack run $(BIN)/python -m pipeline_assets.demo

stack-down: ## Stop them, and Airflow; what they hold stays
	@test ! -d .pipeline/stack || $(BIN)/python -m pipeline_assets.stack down

test: $(HOME_READY) $(AIRFLOW_READY) $(AIRFLOW2_READY) ## Run every test; REQUIRE_SERVERS=1 makes a missing server a failure
	$(BIN)/python -m pytest
	$(AIRFLOW_BIN)/python $(AIRFLOW_TEST)
	$(AIRFLOW2_BIN)/python $(AIRFLOW_TEST)

bench: $(HOME_READY) ## Measure each step beside its limit and its peers, in one run: make bench BENCH="--rounds 5"
	$(BIN)/python -m benchmarks $(BENCH)

lint: $(READY) $(AIRFLOW_READY) ## Ruff, the type checker, the import rules, and the tasks themselves
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(AIRFLOW_BIN)/mypy --config-file tests/airflow_dags/mypy.ini
	PYTHONPATH=$(AIRFLOW_PLUGINS) $(BIN)/lint-imports
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/dg check defs

format: $(READY) ## Let ruff put the code in order
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: $(READY) ## Resolve the three locks anew from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --quiet --all-extras --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --no-header --no-annotate --output-file requirements.lock
	$(BIN)/uv pip compile --group airflow --quiet --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --no-header --no-annotate --output-file requirements-airflow.lock
	$(BIN)/uv pip compile --group airflow2 --quiet --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --no-header --no-annotate --output-file requirements-airflow2.lock

clean: stack-down ## Remove what the pipeline made: data/ and .pipeline/ (its servers are stopped first)
	@test ! -x $(BIN)/python || $(BIN)/python -m pipeline_assets.stores.marts.embedded_postgres stop $(CURDIR)/.pipeline/postgres
	rm -rf data .pipeline .env.stack
