"""Tells Airflow 2's web server of the button that leads to a Dagster run; Airflow 3 needs no plugin for it."""

from dagster_runs.compat import AIRFLOW_2

if AIRFLOW_2:
    from airflow.plugins_manager import AirflowPlugin
    from dagster_runs.link import DagsterRunLink

    class DagsterRunsPlugin(AirflowPlugin):
        """The button."""

        name = "dagster_runs"
        operator_extra_links = [DagsterRunLink()]  # noqa: RUF012 - as Airflow declares it
