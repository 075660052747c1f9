"""The button on a task instance's page that leads to its Dagster run, from the launch on."""

from typing import TYPE_CHECKING

from dagster_runs.compat import BaseOperatorLink, link

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey
    from dagster_runs.compat import BaseOperator

# The web server reads the link from this XCom.
RUN_URL = "run_url"


class DagsterRunLink(BaseOperatorLink):
    """Dagster's page of the run."""

    @property
    def name(self) -> str:
        """The button's text."""
        return "Dagster run"

    @property
    def xcom_key(self) -> str:
        """Airflow 3 reads this XCom, and writes it itself whenever the task leaves the worker."""
        return RUN_URL

    def get_link(self, operator: "BaseOperator", *, ti_key: "TaskInstanceKey") -> str:
        """The address; empty before there is a run."""
        return link(operator, RUN_URL, ti_key)
