"""The true labels of the demo's months, and the scores of predictions and of a constant baseline against them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline_assets.demo.flights import ORDER, PREDICT, TASK, source
from pipeline_assets.errors import DataError, PipelineError
from pipeline_assets.ml.kinds.binary import metrics
from pipeline_assets.task import sql
from pipeline_assets.task.spec import DECISION, LABEL, ROW_ADDRESS, TaskSpec
from pipeline_assets.task.validation import CheckedTask

_ROW_NUMBER = ROW_ADDRESS[1]
_PROBABILITY = "probability"


def truth(month: str) -> pa.Table:
    """The labels of a month to predict, from the flights themselves.

    Args:
        month: the batch, such as ``2013-10``.

    Returns:
        One row per flight in the order of the batch's file: ``row_number`` int64, the columns of the task's key, and
        ``label`` int8, 1 for late, null where the flight was cancelled or diverted.

    Raises:
        PipelineError: there is no such month, or the flights are not installed.
    """
    if month not in PREDICT:
        raise PipelineError("the demo holds no truth of this batch", task=TASK, found=month, available=PREDICT)
    task = demo_task()
    key = ", ".join(sql.name(column) for column in task.key)
    with source() as connection:
        return connection.sql(
            f"select row_number() over (order by {ORDER}) - 1 as {_ROW_NUMBER}, {key},"
            f" cast(({task.target.expression}) as TINYINT) as {LABEL}"
            f" from (select make_date(year, month, day) as flight_date, * from flights where month = {PREDICT[month]})"
            f" order by {ORDER}"
        ).to_arrow_table()


@cache
def demo_task() -> TaskSpec:
    """The demo's task: what its key and its target are is said there alone."""
    # Imported here: Dagster reads the YAML everywhere else.
    import yaml

    text = files("pipeline_assets.defs").joinpath(TASK, "defs.yaml").read_text(encoding="utf-8")
    return CheckedTask.model_validate(yaml.safe_load(text)["attributes"])


@dataclass(frozen=True)
class Scores:
    """How good probabilities and decisions are.

    Attributes:
        roc_auc: 0.5 ranks nothing, 1 ranks every late flight first.
        log_loss: mean, natural logarithm; less is better.
        precision: share of late flights among those decided late; ``None`` where none was.
        recall: share of flights decided late among those that were.
    """

    roc_auc: float
    log_loss: float
    precision: float | None
    recall: float | None


@dataclass(frozen=True)
class Comparison:
    """Predictions of a month against what came true.

    Attributes:
        rows: predictions.
        labelled: predictions of flights that arrived; of the others nobody knows the truth.
        unscored: flights of the month without a prediction.
        late: share of late flights among the labelled.
        decided: share of flights decided late among the labelled.
        model: of the predictions.
        baseline: of the same probability for every flight. It ranks nothing, so that deciding for as many flights as
            the model did is a random draw: precision and recall are what it gets on average.
    """

    rows: int
    labelled: int
    unscored: int
    late: float
    decided: float
    model: Scores
    baseline: Scores


def compare(
    predictions: pa.Table, came_true: pa.Table, base_rate: float, on: Sequence[str] = (_ROW_NUMBER,)
) -> Comparison:
    """Evaluates the predictions of one month.

    Args:
        predictions: a row a scored flight, in any order: the columns ``on``, ``probability`` of being late, and
            ``decision``, whose null decides for nothing.
        came_true: of :func:`truth`.
        base_rate: of the constant baseline, the share of late flights among those that the model learned from.
        on: what identifies a flight in both: ``row_number``, or the task's key.

    Raises:
        DataError: a prediction has no flight, or more than one, a flight has several predictions, or the labelled
            ones are all late or all on time.
    """
    fields = [came_true.schema.field(column) for column in on]
    fields += [pa.field(_PROBABILITY, pa.float64()), pa.field(DECISION, pa.bool_())]
    scored = predictions.select([field.name for field in fields]).cast(pa.schema(fields))
    joined = scored.join(came_true.select([*on, LABEL]), keys=list(on), join_type="inner")
    flights = scored.group_by(list(on)).aggregate([]).num_rows
    if not len(scored) == len(joined) == flights:
        raise DataError(
            "the predictions are not of these flights",
            task=TASK,
            found=f"{len(scored)} predictions of {flights} flights, {len(joined)} pairs with the truth",
            expected="one prediction a flight, one flight a prediction",
        )
    # The join gives no order of its own, and the last bits of a mean depend on it.
    known = joined.filter(pc.is_valid(joined[LABEL])).sort_by([(column, "ascending") for column in on])
    label = known[LABEL].to_numpy()
    decision = pc.fill_null(known[DECISION], fill_value=False).to_numpy()
    scores = metrics.scores(label, known[_PROBABILITY].to_numpy())
    baseline = metrics.constant_baseline(label, base_rate)
    at_decision = metrics.at_threshold(label, decision.astype(np.float64))
    late, decided = float(label.mean()), float(decision.mean())
    return Comparison(
        rows=len(scored),
        labelled=len(known),
        unscored=len(came_true) - len(scored),
        late=late,
        decided=decided,
        model=Scores(scores["roc_auc"], scores["log_loss"], at_decision.precision, at_decision.recall),
        baseline=Scores(baseline["roc_auc"], baseline["log_loss"], late, decided),
    )
