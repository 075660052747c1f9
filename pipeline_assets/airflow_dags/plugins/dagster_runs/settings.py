"""The settings of a task's two DAGs: one entry of the list in the DAG file or in the Airflow variable."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

# The logical date; for a run that has none (Airflow 3, started by hand or by an asset) the time at which it was due.
DATE = "{{ (dag_run.logical_date or dag_run.run_after).strftime('%Y-%m-%d') }}"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StageSettings(_Strict):
    """The settings of one of the two DAGs.

    Attributes:
        schedule: cron expression or preset such as ``@daily``; by default only people start the DAG.
        batch: template of the batch's name; the form of a run may name another batch.
        wait_for_file: whether a run waits until the batch's input file exists.
        deadline_hours: how long the file may take to arrive, and after that the run to end.
        run_config: configuration of the Dagster run; the form of a run may give another one.
        tags: tags of the Dagster run, beside those that name the Airflow DAG run.
    """

    schedule: str | None = None
    batch: str = DATE
    wait_for_file: bool = False
    deadline_hours: float = Field(default=24, gt=0)
    run_config: dict[str, Any] = Field(default_factory=dict)
    tags: dict[str, str] = Field(default_factory=dict)

    @property
    def deadline(self) -> timedelta:
        """The deadline as a duration."""
        return timedelta(hours=self.deadline_hours)


class PredictSettings(StageSettings):
    """The settings of the DAG that predicts.

    Attributes:
        after_train: whether it starts after each success of the DAG that trains, instead of on a schedule.
    """

    after_train: bool = False

    @model_validator(mode="after")
    def _one_start(self) -> "PredictSettings":
        if self.after_train and self.schedule is not None:
            raise ValueError("after_train and schedule exclude each other")
        return self


class TaskSettings(_Strict):
    """The settings of one task.

    Attributes:
        task: its name; the DAGs are ``<task>_train`` and ``<task>_predict``, like the Dagster jobs.
        location: name of Dagster's code location.
        connection: id of the Airflow connection to Dagster.
        retries: how often Airflow tries again while Dagster does not answer; a failed run is not tried again.
        retry_seconds: pause before the first retry; it doubles up to ten minutes.
        poll_seconds: pause between two queries to Dagster.
        patience_seconds: how long Dagster may not answer a waiting task before the try ends.
        train: settings of the DAG that trains.
        predict: settings of the DAG that predicts.
    """

    task: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    location: str = "pipeline_assets"
    connection: str = "dagster_default"
    retries: int = Field(default=10, ge=0)
    retry_seconds: float = Field(default=30, gt=0)
    poll_seconds: float = Field(default=10, gt=0)
    patience_seconds: float = Field(default=300, gt=0)
    train: StageSettings = StageSettings()
    predict: PredictSettings = PredictSettings()


def read(tasks: Sequence[Any] | str) -> list[TaskSettings]:
    """Checks a list of tasks; Airflow shows an error here as the import error of the DAG file.

    Args:
        tasks: a list of names and of mappings with the fields of :class:`TaskSettings`, or such a list as JSON.

    Raises:
        ValueError: the list is wrong; the message gives the place of each mistake.

    >>> [task.task for task in read(["flights", {"task": "returns", "train": {"schedule": "@daily"}}])]
    ['flights', 'returns']
    """
    given = json.loads(tasks) if isinstance(tasks, str) else tasks
    entries = [{"task": entry} if isinstance(entry, str) else entry for entry in given]
    try:
        found = TypeAdapter(list[TaskSettings]).validate_python(entries)
    except ValidationError as error:
        lines = [
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']} (given: {problem['input']!s:.100})"
            for problem in error.errors(include_url=False)
        ]
        raise ValueError("the list of tasks for Airflow is wrong\n  " + "\n  ".join(lines)) from None
    names = [task.task for task in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"the list of tasks for Airflow names {', '.join(twice)} twice")
    return found
