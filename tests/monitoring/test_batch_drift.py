"""The reference that a version keeps, of every kind, and what a batch is said to be beside it."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pipeline_assets.ml.prediction import Prediction
from pipeline_assets.monitoring.batch_drift import ColumnDrift, DriftReference, compared
from pipeline_assets.monitoring.drift import Difference, count_rows
from pipeline_assets.task.drift_spec import DriftLimits
from pipeline_assets.task.spec import TaskSpec
from tests.examples import shop

ROWS = 4_000


def frame(seed: int, shift: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "price": np.where(rng.random(ROWS) < 0.1, np.nan, rng.normal(shift, 1, ROWS)),
            "weekday": rng.integers(1, 8, ROWS).astype(float),
            "country": pd.Categorical(rng.choice(["DE", "FR", "RU"], ROWS)),
            "note": pd.Categorical(rng.choice(["Ёлка", "<null>"], ROWS)),
        }
    )


def batch(of: pd.DataFrame) -> pa.RecordBatch:
    """As a feature store gives it."""
    return pa.RecordBatch.from_pandas(of.astype({"country": str, "note": str}), preserve_index=False)


KINDS: list[tuple[TaskSpec, Prediction, dict[str, pa.Array]]] = [
    (
        shop(),
        Prediction(np.linspace(0, 1, ROWS)),
        {"probability": pa.array(np.linspace(0, 1, ROWS)), "predicted_label": pa.array(np.linspace(0, 1, ROWS) >= 0.5)},
    ),
    (
        shop(target={"expression": "price", "kind": "regression"}, output=None),
        Prediction(np.linspace(-50, 900, ROWS)),
        {"prediction": pa.array(np.linspace(-50, 900, ROWS))},
    ),
    (
        shop(target={"expression": "country", "kind": "multiclass"}, output=None),
        Prediction(np.tile([[0.2, 0.8], [0.7, 0.3]], (ROWS // 2, 1)), ("a", "b")),
        {"predicted_label": pa.array(["b", "a"] * (ROWS // 2)), "probability": pa.array([0.8, 0.7] * (ROWS // 2))},
    ),
]


@pytest.mark.parametrize(("task", "prediction", "scores"), KINDS, ids=lambda each: getattr(each, "name", ""))
def test_a_batch_like_the_reference_is_near_it_whatever_the_kind(
    task: TaskSpec, prediction: Prediction, scores: dict[str, pa.Array]
) -> None:
    made = DriftReference.of(task, frame(1), prediction)
    reference = DriftReference.from_text(made.to_text())
    assert reference == made
    assert set(reference.scores) == set(scores)
    assert "NaN" not in made.to_text()
    features = count_rows(reference.feature_bins, [batch(frame(2))])
    counted = count_rows(reference.score_bins, [pa.RecordBatch.from_pydict(scores)])
    types = {name: column.type for name, column in scores.items()}
    found = list(compared(task, reference, features, counted, types))
    assert [(each.role, each.name) for each in found] == [
        *(("feature", name) for name in task.features.names),
        *(("score", name) for name in scores),
    ]
    assert {each.verdict for each in found} == {"ok"}
    assert max(each.difference.distance for each in found) < 0.05
    moved = count_rows(reference.feature_bins, [batch(frame(3, shift=1.0))])
    by_name = {each.name: each for each in compared(task, reference, moved, {}, {})}
    assert {name: each.verdict for name, each in by_name.items() if each.verdict != "ok"} == {"price": "warn"}
    assert json.dumps([each.value for each in by_name["note"].difference.bins], ensure_ascii=False).count("Ёлка") == 1


def test_scores_are_compared_with_the_nearer_of_evaluated_and_registered_model() -> None:
    evaluated, registered = (Prediction(np.linspace(0, high, ROWS)) for high in (0.5, 1.0))
    reference = DriftReference.from_text(DriftReference.of(shop(), frame(1), evaluated, registered).to_text())
    types = {"probability": pa.float64(), "predicted_label": pa.bool_()}
    for given in (evaluated, registered):
        counts = count_rows(reference.score_bins, [batch_of(given)])
        found = {each.name: each for each in compared(shop(), reference, {}, counts, types)}
        assert found["probability"].difference.distance < 0.05


def batch_of(given: Prediction) -> pa.RecordBatch:
    return pa.record_batch({"probability": pa.array(given.output), "predicted_label": pa.array(given.output >= 0.5)})


@pytest.mark.parametrize(
    ("distance", "chance", "limits", "verdict"),
    [
        (0.19, 0.0, DriftLimits(), "ok"),
        (0.2, 0.0, DriftLimits(), "warn"),
        (0.9, 0.0, DriftLimits(warn=None), "ok"),
        (0.3, 0.0, DriftLimits(fail=0.3), "fail"),
        (0.3, 0.35, DriftLimits(fail=0.3), "ok"),
        (0.15, 0.0, DriftLimits(fail=0.1), "fail"),
    ],
)
def test_limits_decide_unless_chance_may_have_done_it(
    distance: float, chance: float, limits: DriftLimits, verdict: str
) -> None:
    assert ColumnDrift("feature", "x", Difference(distance, chance, 1, 1, ()), limits).verdict == verdict
