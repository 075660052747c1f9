"""The trials of a search in MLflow: each a run below the run of its training."""

import json
import time
from typing import TYPE_CHECKING

from pipeline_assets.ml.search import Trial

if TYPE_CHECKING:
    from mlflow import MlflowClient

_PARENT = "mlflow.parentRunId"
_NUMBER = "trial"
_LONGEST = 5000  # of a tag
_THOUSAND = 1000


def log_trial(client: "MlflowClient", run_id: str, trial: Trial) -> None:
    """Writes a trial once: where an earlier attempt of the same run has written it, nothing is done.

    Args:
        client: of the registry.
        run_id: of the training.
        trial: fitted or failed; a failed one has the tag ``problem``.
    """
    from mlflow.entities import Metric, Param, RunTag

    experiment = client.get_run(run_id).info.experiment_id
    wanted = f"tags.`{_PARENT}` = '{run_id}' and tags.{_NUMBER} = '{trial.number}' and attributes.status != 'RUNNING'"
    if client.search_runs([experiment], wanted, max_results=1):
        return
    ended = int(time.time() * _THOUSAND)
    begun = ended - int(trial.seconds * _THOUSAND)
    name = f"trial {trial.number}"
    child = client.create_run(experiment, begun, {_PARENT: run_id, _NUMBER: str(trial.number)}, run_name=name)
    values = {trial.metric: trial.value, "iterations": trial.iterations, "seconds": trial.seconds}
    client.log_batch(
        child.info.run_id,
        metrics=[Metric(key, float(value), ended, 0) for key, value in values.items() if value is not None],
        params=[Param(key, _text(value)) for key, value in trial.parameters.items()],
        tags=[] if trial.problem is None else [RunTag("problem", trial.problem[:_LONGEST])],
    )
    client.set_terminated(child.info.run_id, "FAILED" if trial.value is None else "FINISHED", ended)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
