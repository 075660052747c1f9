"""Makes the two DAGs of a task, train and predict; each has one deferrable task."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Literal

from dagster_runs.compat import DAG, START, Param, asset, schedule
from dagster_runs.operator import DagsterJobOperator
from dagster_runs.settings import StageSettings, TaskSettings

_DOC = """\
### {task}: {stage}

Starts the Dagster job `{job}` for one batch, waits for it without holding a worker, and ends as it ends.

* **batch**: `{batch}`, unless the form says another. A batch that Dagster does not know is registered if its input
  file is there.
* **starts**: {starts}.
* A failed run fails the task at once, with Dagster's error. Airflow retries only while Dagster does not answer.
* Retries and restarts find the task's own run again. **Clear** a finished task to run the job anew. If you clear or
  mark a waiting task, its run is terminated. After {deadline} hours it is terminated too.
* XCom `return_value`: `run_id`, `run_url`, `rows`, `model_version`. The button *Dagster run* leads to the run.
"""


def task_dags(tasks: Iterable[TaskSettings]) -> dict[str, DAG]:
    """The DAGs of all tasks, by id."""
    return {dag.dag_id: dag for task in tasks for dag in (_train(task), _predict(task))}


def _train(task: TaskSettings) -> DAG:
    given = task.train.schedule
    return _dag(
        task, "train", task.train, start=schedule(given), starts=given or "by hand", outlets=[_trained(task)]
    )  # fmt: skip


def _predict(task: TaskSettings) -> DAG:
    settings = task.predict
    if settings.after_train:
        after = f"when {task.task}_train has succeeded"
        return _dag(task, "predict", settings, start=[_trained(task)], starts=after)
    given = settings.schedule
    return _dag(task, "predict", settings, start=schedule(given), starts=given or "by hand")


def _trained(task: TaskSettings) -> Any:
    """The asset that train makes and predict may wait for."""
    return asset(f"{task.task}_model", f"dagster://{task.location}/{task.task}/model")


def _dag(
    task: TaskSettings,
    stage: Literal["train", "predict"],
    settings: StageSettings,
    *,
    start: Any,
    starts: str,
    outlets: Iterable[Any] = (),
) -> DAG:
    job = f"{task.task}_{stage}"
    waits = ", then waits for the batch's input file" if settings.wait_for_file else ""
    with DAG(
        dag_id=job,
        schedule=start,
        **START,
        catchup=False,
        description=f"{task.task}, {stage}: the Dagster job {job} for one batch",
        doc_md=_DOC.format(
            task=task.task,
            stage=stage,
            job=job,
            batch=settings.batch,
            starts=starts + waits,
            deadline=f"{settings.deadline_hours:g}",
        ),
        tags=["dagster", "pipeline_assets", task.task, stage],
        params={
            "batch": Param(
                None,
                type=["null", "string"],  # Airflow's form requires a value of any other type
                title="Batch",
                description=f"Name of the input file or folder, without .parquet; if empty: {settings.batch}",
            ),
            "run_config": Param(
                settings.run_config,
                type="object",
                title="Run configuration",
                description="Of the Dagster run, as in Dagster's launchpad",
            ),
            "tags": Param(
                settings.tags,
                type="object",
                additionalProperties={"type": "string"},
                title="Tags",
                description="Of the Dagster run, beside those that name this DAG run",
            ),
        },
    ) as dag:
        DagsterJobOperator(
            task_id=stage,
            job=job,
            batch="{% if params.batch %}{{ params.batch }}{% else %}" + settings.batch + "{% endif %}",
            location=task.location,
            conn_id=task.connection,
            run_config="{{ params.run_config | tojson }}",
            tags="{{ params.tags | tojson }}",
            wait_for_file=settings.wait_for_file,
            deadline=settings.deadline,
            poll_seconds=task.poll_seconds,
            patience=timedelta(seconds=task.patience_seconds),
            retries=task.retries,
            retry_delay=timedelta(seconds=task.retry_seconds),
            retry_exponential_backoff=True,
            max_retry_delay=timedelta(minutes=10),
            outlets=list(outlets),
            doc_md=f"Finds or launches one run of the Dagster job `{job}`, and waits for it in the triggerer.",
        )
    return dag
