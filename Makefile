# One line a verb: `make help`.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
PIPELINE := $(BIN)/pipeline-assets
# pip's indexes, uv's speed; uv comes from requirements.lock. Packages are compiled as they are installed: where Python
# may not write what it compiles, each command would compile them again, for three seconds.
UV = UV_COMPILE_BYTECODE=1 $(PYTHON) deploy/with_uv.py .venv
TRAINERS_READY := .venv/.trainers
AIRFLOW_BIN := .venv-airflow/bin
AIRFLOW_READY := .venv-airflow/.ready
MLFLOW2_READY := .venv-mlflow2/.ready
PEERS_READY := .venv-peers/.ready
AIRFLOW2_BIN := .venv-airflow2/bin
AIRFLOW2_READY := .venv-airflow2/.ready
AIRFLOW_PLUGINS := pipeline_assets/airflow_dags/plugins
# What Airflow runs is tested where Airflow is, in each of its versions.
AIRFLOW_TEST := -m pytest -c tests/airflow_dags/pytest.ini --confcutdir=tests/airflow_dags \
	$(AIRFLOW_PLUGINS) tests/airflow_dags
# Tests over one costly fixture stay together, and the longest come first: tests/conftest.py says how.
JOBS ?= 2
PARALLEL := -n $(JOBS) --dist loadfile --no-loadscope-reorder
# An Airflow with its Dagster keeps both cores busy, and its tests wait for it: they come before the others.
AIRFLOWS := tests/end_to_end/test_airflow.py tests/end_to_end/test_airflow2.py
# The type checker looks at these in make check; what Airflow runs is checked where Airflow is.
CHANGED = { git diff --name-only --diff-filter=d HEAD -- '*.py'; git ls-files --others --exclude-standard '*.py'; } \
	| grep -E '^(pipeline_assets|tests|benchmarks)/' | grep -v airflow_dags/
ifeq ($(DAGSTER_HOME),)
DAGSTER_HOME := $(CURDIR)/.pipeline/dagster
endif
export DAGSTER_HOME
# MLflow and matplotlib keep caches; inside the checkout they go with `make clean`.
export MPLCONFIGDIR ?= $(CURDIR)/.pipeline/matplotlib

.DEFAULT_GOAL := help
.PHONY: help setup trainers demo ui sql mlflow-ui task run stack airflow stack-demo stack-down check test bench quality docs lint format lock clean

help: ## Explain every verb
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

setup: $(READY) ## Create .venv from requirements.lock (every other verb does it when needed)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"Python 3.11 or newer is needed, {sys.version.split()[0]} found; say PYTHON=python3.12 make ...")'
	$(UV) pip install --no-deps --require-hashes -r requirements.lock
	$(UV) pip install --no-deps --no-build-isolation --editable .
	$(UV) pip check
	@touch $(READY)

# Packages that fit models, some of them large: only who asks for them gets them.
trainers: $(TRAINERS_READY) ## Add LightGBM, XGBoost, PyTorch and TensorFlow to .venv (7 GB)

$(TRAINERS_READY): requirements-trainers.lock | $(READY)
	$(UV) pip install --no-deps --require-hashes -r requirements-trainers.lock
	$(UV) pip check
	@touch $(TRAINERS_READY)

# Airflow in an environment of its own: it and the pipeline need nothing of each other.
.venv-%/.ready: requirements-%.lock | $(READY)
	$(PYTHON) -m venv .venv-$*
	$(UV) pip install --python .venv-$*/bin/python --no-deps --require-hashes -r $<
	$(UV) pip check --python .venv-$*/bin/python
	@touch $@

$(DAGSTER_HOME)/dagster.yaml: pipeline_assets/instance.yaml
	@mkdir -p $(DAGSTER_HOME) $(MPLCONFIGDIR)
	@cp pipeline_assets/instance.yaml $(DAGSTER_HOME)/dagster.yaml

HOME_READY := $(READY) $(DAGSTER_HOME)/dagster.yaml

demo: $(HOME_READY) ## Train and predict on real flights; says what came out and where to look
	$(PIPELINE) demo

ui: $(HOME_READY) ## Dagster on 127.0.0.1:3000 and the mart page on 127.0.0.1:8000, over the same data; Ctrl-C ends both
	@echo "In half a minute Dagster is on http://127.0.0.1:3000 and the mart page on http://127.0.0.1:8000."
	@$(PIPELINE) page & page=$$!; \
	trap 'kill $$page 2>/dev/null; wait $$page' EXIT; trap 'exit 130' INT TERM; \
	$(BIN)/dagster dev -w workspace.yaml -h 127.0.0.1 -p 3000

sql: $(HOME_READY) ## The marts in psql, wherever they are
	$(PIPELINE) sql

mlflow-ui: $(HOME_READY) ## MLflow on 127.0.0.1:5000, over the embedded registry
	$(BIN)/mlflow ui --backend-store-uri sqlite:///$(CURDIR)/.pipeline/mlflow/mlflow.db --host 127.0.0.1 --port 5000

task: $(READY) ## Draft a task from a labelled file: make task NAME=bank FROM=bank.parquet TARGET=y, PREDICT=june.parquet
	@$(PIPELINE) task new "$$NAME" --from "$$FROM" --target "$$TARGET" $(if $(PREDICT),--predict "$$PREDICT")

run: $(HOME_READY) ## Run batches: make run TASK=flight_delays STAGE=predict BATCH="2013-10 2013-11", or BATCH=--all
	@$(PIPELINE) run $(TASK) $(STAGE) $(BATCH)

stack: $(READY) ## Start every real server on this machine; their variables go to .env.stack
	@$(PIPELINE) stack up

airflow: stack $(AIRFLOW_READY) ## Airflow beside those servers, with the two DAGs of the demo; prints the log-in
	@$(PIPELINE) stack airflow

stack-demo: $(READY) ## The demo on those servers
	@$(PIPELINE) stack run $(PIPELINE) demo

stack-down: ## Stop them, and Airflow; what they hold stays
	@test ! -d .pipeline/stack || $(PIPELINE) stack down

check: $(READY) ## Two minutes, for those who edit: lint, the types of what changed, the tests that need no server
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(CHANGED) | xargs -r $(BIN)/mypy
	PYTHONPATH=$(AIRFLOW_PLUGINS) $(BIN)/lint-imports
	$(BIN)/python -m pytest -m "not server" $(PARALLEL)

test: $(HOME_READY) $(TRAINERS_READY) $(AIRFLOW_READY) $(AIRFLOW2_READY) $(MLFLOW2_READY) ## Run every test, JOBS=2 at once; REQUIRE_SERVERS=1 makes a missing server a failure
	$(BIN)/python -m pytest $(AIRFLOWS)
	$(BIN)/python -m pytest $(PARALLEL) $(AIRFLOWS:%=--ignore=%)
	$(AIRFLOW_BIN)/python $(AIRFLOW_TEST)
	$(AIRFLOW2_BIN)/python $(AIRFLOW_TEST)

bench: $(HOME_READY) $(TRAINERS_READY) $(PEERS_READY) ## Measure each step beside its limit and its peers, in one run: make bench BENCH="--rounds 5"
	$(BIN)/python -m benchmarks $(BENCH)

quality: $(HOME_READY) $(TRAINERS_READY) ## Measure drafted tasks beside CatBoost and LightGBM used by hand: make quality QUALITY="--rows 5000"
	$(BIN)/python -m benchmarks.quality $(QUALITY)

docs: $(READY) ## Build the documentation in Russian and English into .pipeline/site; a warning is a failure
	$(BIN)/python docs/_site/build.py

lint: $(READY) $(AIRFLOW_READY) ## Ruff, the type checker, the import rules, and the tasks themselves
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy docs/_site/*.py
	$(AIRFLOW_BIN)/mypy --config-file tests/airflow_dags/mypy.ini
	PYTHONPATH=$(AIRFLOW_PLUGINS) $(BIN)/lint-imports
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/dg check defs

format: $(READY) ## Let ruff put the code in order
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# All but the packages of requirements-trainers.lock.
EXTRAS := page tarantool demo search openlineage docs dev

lock: $(READY) ## Resolve the lock files anew from pyproject.toml
	$(UV) pip compile pyproject.toml $(EXTRAS:%=--extra %) --quiet --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --no-header --no-annotate --output-file requirements.lock
	$(UV) pip compile pyproject.toml --all-extras -c requirements.lock --quiet --universal --python-version 3.11 \
		--upgrade --generate-hashes --no-emit-index-url --no-header --no-annotate \
		--output-file requirements-trainers.lock
	$(UV) pip compile --group airflow --quiet --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --no-header --no-annotate --output-file requirements-airflow.lock
	$(UV) pip compile --group mlflow2 --quiet --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --no-header --no-annotate --output-file requirements-mlflow2.lock
	$(UV) pip compile --group peers --quiet --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --no-header --no-annotate --output-file requirements-peers.lock
	$(UV) pip compile --group airflow2 --quiet --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --no-header --no-annotate --output-file requirements-airflow2.lock

clean: stack-down ## Remove .pipeline/ (marts, models, servers) and the demo's data/flight_delays/; data of your own tasks stays
	@test ! -x $(BIN)/python || $(BIN)/python -m pipeline_assets.stores.marts.embedded_postgres stop $(CURDIR)/.pipeline/postgres
	rm -rf data/flight_delays .pipeline .env.stack
	@rmdir data 2>/dev/null || true
