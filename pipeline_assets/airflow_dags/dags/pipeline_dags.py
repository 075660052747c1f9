"""Two Airflow DAGs a task, train and predict, that start the Dagster jobs of the same names.

Name your tasks below, or without touching this file in the Airflow variable ``pipeline_tasks``, as JSON:
``["flight_delays", {"task": "returns", "predict": {"schedule": "@daily", "wait_for_file": true}}]``.
``dagster_runs/settings.py`` lists what a task can say.
"""

# Airflow looks for DAGs only in files in which these words stand: airflow, dag.
try:
    from dagster_runs.compat import variable
    from dagster_runs.dags import task_dags
    from dagster_runs.settings import read
except ModuleNotFoundError as error:
    if error.name != "dagster_runs":
        raise
    raise ImportError(
        "the package dagster_runs is missing: copy plugins/dagster_runs, which came with this file, into Airflow's"
        " plugins folder (the triggerer finds it nowhere else), or put its folder on PYTHONPATH"
    ) from error

TASKS = ["flight_delays"]

globals().update(task_dags(read(variable("pipeline_tasks") or TASKS)))
