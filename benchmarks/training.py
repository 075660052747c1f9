"""Training: features in, a registered version out, beside the same fits of CatBoost on Pools that have been made.

Both fit a tenth of the demo's iterations: what surrounds the fits does not depend on how long they are.
"""

import shutil
from typing import Any

import numpy as np
import yaml

from benchmarks.clock import forget_peak
from benchmarks.measure import LIMIT, OURS, Line, Work
from benchmarks.workspace import BATCH, Workspace
from pipeline_assets.task.spec import TaskSpec
from pipeline_assets.task.validation import CheckedTask

_ITERATIONS = 100


def fewer_iterations(task: TaskSpec) -> TaskSpec:
    """The task with so few iterations that a million rows are fitted within a minute; any model may then predict."""
    told = task.model_dump(mode="json")
    told["limits"]["metric"] = None
    told["training"]["parameters"]["iterations"] = _ITERATIONS
    return CheckedTask.model_validate(told)


def _ours(workspace: Workspace) -> Work:
    """What the asset does between the features and the choice, with a champion to compare with."""
    import catboost  # noqa: F401 - imports are not what is measured
    import matplotlib.figure  # noqa: F401
    import mlflow.catboost  # noqa: F401

    from pipeline_assets.ml.comparison import Contestant, compare
    from pipeline_assets.ml.dataset import training_frame
    from pipeline_assets.ml.kinds.base import kind_of
    from pipeline_assets.ml.training import train
    from pipeline_assets.monitoring.column_hashes import Hashing
    from pipeline_assets.monitoring.kept import kept_files
    from pipeline_assets.monitoring.version_record import record_of
    from pipeline_assets.stores.registry.log import Provenance
    from pipeline_assets.stores.registry.registry import Registry

    task, folder = fewer_iterations(workspace.task), workspace.folder / "mlflow"
    shutil.rmtree(folder, ignore_errors=True)
    registry = Registry(folder)
    run_id = registry.client.create_run(registry.experiment(task.name)).info.run_id
    manifest = workspace.raw("train").manifest
    made_of = Provenance(
        batch=BATCH,
        uri=str(workspace.file("train")),
        sha256="0" * 64,
        rows=workspace.rows,
        task_yaml=yaml.safe_dump(task.model_dump(mode="json")),
        dagster_run_id="benchmark",
    )

    def work() -> int:
        hashing = Hashing()
        frame = training_frame(hashing.passing(workspace.features.read(workspace.table("train"), BATCH)), task)
        trained = train(task, frame, batch=BATCH, sha256=made_of.sha256)
        plots = kind_of(task).plots(trained.validation, trained.prediction, trained.fit, task.name)
        kept = kept_files(task, record_of(task, manifest, hashing.found, trained), trained)
        version = registry.publish(run_id, task, trained, made_of, plots, files=kept)
        challenger = Contestant(version, trained.evaluated, trained.split)
        champion = Contestant(version + 1, registry.load_evaluated(task.name, version), trained.split)
        compare(task, challenger, champion, trained.validation)
        return workspace.rows

    return work


def bare_fits(workspace: Workspace) -> Work:
    """CatBoost's own fits with the task's split and parameters: one that stops early, one of all rows where it refits.

    Pools are ready, and what they were made of is gone: the peak that is counted is that of Pools and fits.
    """
    from catboost import CatBoostClassifier, Pool

    from pipeline_assets.ml.dataset import training_frame
    from pipeline_assets.ml.kinds.base import kind_of
    from pipeline_assets.ml.split import STOPPING, TRAINING, split_rule

    task = fewer_iterations(workspace.task)
    rows = training_frame(workspace.features.read(workspace.table("train"), BATCH), task).rows
    strata = kind_of(task).strata(rows)
    side = split_rule(rows, task, strata, batch="", sha256="").side_of(rows, strata)
    places = [np.flatnonzero(side == which) for which in (TRAINING, STOPPING)]
    count, categorical = len(rows), list(task.features.categorical)
    training, stopping, every = (
        Pool(part.features, part.label, cat_features=categorical)
        for part in (*(rows.take(each) for each in places), rows)
    )
    del rows
    forget_peak()
    parameters = native_parameters(task)

    def work() -> int:
        model = CatBoostClassifier(**parameters, eval_metric="AUC")
        model.fit(training, eval_set=stopping, early_stopping_rounds=task.training.early_stopping_rounds)
        if task.training.refit:
            again = CatBoostClassifier(**{**parameters, "iterations": model.best_iteration_ + 1})
            again.fit(every)
        return count

    return work


def native_parameters(task: TaskSpec) -> dict[str, Any]:
    """The task's parameters for CatBoost used by hand, without those of early stopping."""
    return {
        **task.training.parameters,
        "random_seed": task.training.seed,
        "thread_count": task.training.threads,
        "allow_writing_files": False,
        "verbose": False,
    }


LINE = Line(
    "training",
    {OURS: _ours, LIMIT: bare_fits},
    wanted={LIMIT: 1 / 1.15},
    memory={LIMIT: 1.3},
    aside=LIMIT,
    rounds=1,
    flat=False,
)
