"""Two Airflow DAGs for each task, train and predict, which start the Dagster jobs of the same names.

Name your tasks below, or in the Airflow variable ``pipeline_tasks`` without changing this file, as JSON:
``["flight_delays", {"task": "returns", "predict": {"schedule": "@daily", "wait_for_file": true}}]``.
``plugins/dagster_runs/settings.py`` lists the settings of a task.
"""

try:
    from dagster_runs.compat import variable
    from dagster_runs.dags import task_dags
    from dagster_runs.settings import read
except ModuleNotFoundError as error:
    if error.name == "pydantic":
        raise ImportError("dagster_runs needs pydantic 2, which Airflow 2.10 does not bring: install it") from error
    if error.name != "dagster_runs":
        raise
    raise ImportError(
        "the package dagster_runs is missing: copy plugins/dagster_runs, which came with this file, into Airflow's"
        " plugins folder (the triggerer finds it nowhere else), or put its folder on PYTHONPATH"
    ) from error

TASKS = ["flight_delays"]

globals().update(task_dags(read(variable("pipeline_tasks") or TASKS)))
