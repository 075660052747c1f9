"""The button on a task instance's page that leads to its Dagster run, from the launch on."""

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

# The XCom that Airflow's web server reads the link from.
RUN_URL = "run_url"


class DagsterRunLink(BaseOperatorLink):
    """Dagster's page of the run."""

    @property
    def name(self) -> str:
        """On the button."""
        return "Dagster run"

    @property
    def xcom_key(self) -> str:
        """Written by the operator before it starts to wait; Airflow writes it again whenever the task leaves."""
        return RUN_URL

    def get_link(self, operator: "BaseOperator", *, ti_key: "TaskInstanceKey") -> str:  # noqa: ARG002 - Airflow's own
        """The address; empty before there is a run."""
        return str(getattr(operator, "run_url", ""))
