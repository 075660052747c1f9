"""Train and predict, whole: both jobs in Dagster, beside the limits of their steps and a bare fit, one after another.

All fit the same two models, each with a tenth of the demo's iterations: one that stops early and is judged, one of all
labelled rows that predicts. The fits alone are a contender as well: without them one sees what surrounds them. Starting
Python and importing packages is not timed for anybody.
"""

import logging
import shutil
from pathlib import Path
from typing import Any

import yaml

from benchmarks import features_back, features_in, mart_load, preparation, scoring, training
from benchmarks.measure import LIMIT, OURS, Line, Work
from benchmarks.workspace import BATCH, Workspace
from pipeline_assets.task.spec import STAGES

_FITS = "fits"


def _ours(workspace: Workspace) -> Work:
    import catboost  # noqa: F401 - imports are not what is measured
    import dagster as dg
    import matplotlib.pyplot  # noqa: F401, ICN001
    import mlflow.catboost  # noqa: F401
    import pandas as pd  # noqa: F401

    from pipeline_assets.assets.definitions import task_definitions
    from pipeline_assets.assets.graph import TaskGraph
    from pipeline_assets.cli.run import failures, run_batch
    from pipeline_assets.resources import resources
    from pipeline_assets.settings import Settings

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    for stage in STAGES:
        mart_load.ready(workspace, stage)
        features_in.empty(workspace, stage)
    mart_load.empty(workspace, f"{workspace.task.name}_predict_output")
    task, state = training.fewer_iterations(workspace.task), workspace.folder / "state"
    shutil.rmtree(state, ignore_errors=True)
    postgres, tarantool = workspace.postgres, workspace.tarantool
    environment = {
        "DATA_URI": workspace.files.uri,
        "GREENPLUM_HOST": postgres.host,
        "GREENPLUM_PORT": str(postgres.port),
        "GREENPLUM_DATABASE": postgres.database,
        "GREENPLUM_LOGIN": postgres.login,
        "GREENPLUM_PASSWORD": postgres.password,
        "TARANTOOL_HOST": tarantool.host,
        "TARANTOOL_PORT": str(tarantool.port),
        "TARANTOOL_LOGIN": tarantool.login,
        "TARANTOOL_PASSWORD": tarantool.password,
        "PIPELINE_STATE": str(state),
    }
    stores = resources(Settings.from_env(environment, Path(workspace.folder)))
    stores["registry"].experiment(task.name)  # makes MLflow's database, once in its life
    shared = dg.Definitions(resources=dict(stores), executor=dg.in_process_executor)
    graph = TaskGraph(task, yaml.safe_dump(task.model_dump(mode="json")))
    defs = dg.Definitions.merge(shared, task_definitions(graph))
    quiet: dict[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

    def work() -> int:
        with dg.DagsterInstance.ephemeral() as instance:
            for stage in STAGES:
                result = run_batch(defs, instance, workspace.ref(stage), quiet)
                if not result.success:
                    raise RuntimeError("\n".join(failures(result)))
        return workspace.rows

    return work


def _limits(workspace: Workspace) -> Work:
    """What each step cannot be faster than; the small output mart and the registry are left out."""
    duckdb = [preparation.duckdb_alone(workspace, stage, mart=True) for stage in STAGES]
    copies = [mart_load.copy_csv(workspace, stage) for stage in STAGES]
    loops = []
    for stage in STAGES:
        loops += [features_in.lua_loop(workspace, stage)]
    pages = [features_back.pages(workspace, stage) for stage in STAGES]
    fit, predict = training.bare_fits(workspace), scoring.predict_proba(workspace)

    def work() -> int:
        for step in (*duckdb, *copies, *loops, *pages, fit, predict):
            step()
        return workspace.rows

    return work


def _script(workspace: Workspace) -> Work:
    """The same job in one pandas script, with the fast way to load a mart; it keeps no features and no models."""
    import io

    import pandas as pd
    from catboost import CatBoostClassifier, Pool

    from benchmarks import pandas_way

    task = training.fewer_iterations(workspace.task)
    parameters, how = training.native_parameters(task), task.training
    marts = {stage: mart_load.ready(workspace, stage) for stage in STAGES}
    connection = mart_load.connect(workspace)
    folder = workspace.folder / "peer"
    folder.mkdir(exist_ok=True)

    def load(name: str, rows: pd.DataFrame) -> None:
        text = io.StringIO()
        rows.to_csv(text, index=False, header=False)
        text.seek(0)
        names = ", ".join(f'"{column}"' for column in rows.columns)
        with connection, connection.cursor() as cursor:
            cursor.copy_expert(f"COPY {mart_load.SCHEMA}.{name} ({names}) FROM STDIN WITH (FORMAT csv)", text)

    def prepared(stage: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
        rows = pandas_way.accepted(_whole_numbers(pd.read_parquet(workspace.file(stage))), stage)
        made = pandas_way.features(rows)
        address = pd.DataFrame({"batch": BATCH, "row_number": rows.index}, index=rows.index)
        mart = pd.concat([address, rows, made.add_prefix("feature_")], axis=1)
        if stage == "train":
            mart["label"] = pandas_way.label(rows).astype("Int8")
        load(marts[stage], mart)
        return rows, made

    def work() -> int:
        rows, made = prepared("train")
        known = pandas_way.label(rows).dropna()
        made, days = made.loc[known.index], pd.to_datetime(rows.loc[known.index, "flight_date"])
        day = days.rank(method="dense", pct=True)
        judging = 1 - how.validation.fraction
        first = day <= judging * (1 - how.validation.stopping_fraction)
        stopping = ~first & (day <= judging)
        options = {"cat_features": pandas_way.CATEGORICAL, "early_stopping_rounds": how.early_stopping_rounds}
        judged = CatBoostClassifier(**parameters, eval_metric="AUC")
        judged.fit(made[first], known[first], eval_set=(made[stopping], known[stopping]), **options)
        late = day > judging
        judged.eval_metrics(Pool(made[late], known[late], cat_features=pandas_way.CATEGORICAL), "AUC")
        model = CatBoostClassifier(**{**parameters, "iterations": judged.best_iteration_ + 1})
        model.fit(made, known, cat_features=pandas_way.CATEGORICAL)
        rows, made = prepared("predict")
        rows = rows.assign(probability=model.predict_proba(made)[:, 1])
        rows[rows["probability"] >= 0.35].to_parquet(folder / "output.parquet")
        return workspace.rows

    return work


def _whole_numbers(rows: Any) -> Any:
    """Integers with nulls as integers: pandas would write 1.0 into the CSV."""
    names = ["wind_dir", "plane_year", "engines", "seats", "dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"]
    return rows.astype({name: "Int32" for name in names if name in rows})


LINE = Line(
    "whole train + predict",
    {OURS: _ours, LIMIT: _limits, _FITS: training.bare_fits, "pandas script": _script},
    aside=_FITS,
    wanted={LIMIT: 1 / 1.3, "pandas script": 2.5},
    rounds=1,
    flat=False,
)
