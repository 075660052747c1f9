import numpy as np
import pyarrow as pa
import pytest

from pipeline_assets.errors import DataError
from pipeline_assets.ml.dataset import scoring_frame
from pipeline_assets.ml.explanation import explain, permutation, probability
from pipeline_assets.ml.kinds.base import predict
from pipeline_assets.ml.training import train
from tests import trainable


def rows(kind: str, first: int, count: int) -> pa.RecordBatch:
    names = ["row_number", "hour", "distance", "carrier"]
    table = trainable.table(objective=trainable.objective_of(kind)).select(names)
    (found,) = table.slice(first, count).to_batches()
    return found


def test_base_and_contributions_add_up_to_the_score_and_the_largest_comes_first() -> None:
    found = explain(trainable.task(), 7, trainable.trained().fit.model, rows("binary", 3, 1))
    assert (found.kind, found.unit, found.of) == ("shap", "log_odds", None)
    sizes = [abs(each.log_odds) for each in found.contributions]
    assert found.version == 7
    assert sizes == sorted(sizes, reverse=True)
    assert found.log_odds == pytest.approx(found.base + sum(each.log_odds for each in found.contributions))
    assert found.probability == probability(found.log_odds)


def test_log_odds_of_any_size_are_probabilities() -> None:
    assert [probability(each) for each in (-1000.0, 0.0, 1000.0)] == [0.0, 0.5, 1.0]
    assert probability(trainable.log_odds(0.9)) == pytest.approx(0.9)


def test_a_number_is_explained_in_its_own_unit_or_by_its_logarithm() -> None:
    task, row = trainable.task(kind="regression"), rows("regression", 3, 1)
    model = trainable.trained("regression").model
    found = explain(task, 1, model, row)
    output = predict(task, model, scoring_frame(row, task.features)).output
    assert (found.unit, found.of) == ("target", None)
    assert found.score == pytest.approx(output[0])
    target = {"expression": "delay + 5", "kind": "regression", "transform": "log1p"}
    assert explain(trainable.task(kind="regression", target=target), 1, model, row).unit == "log_target"


def test_of_classes_the_predicted_one_is_explained() -> None:
    task, row = trainable.task(kind="multiclass"), rows("multiclass", 3, 1)
    model = trainable.trained("multiclass").model
    found = explain(task, 1, model, row)
    output = model.predict(scoring_frame(row, task.features))[0]
    assert (found.unit, found.of) == ("score", model.classes[int(np.argmax(output))])
    raw = [float(model.contributions(scoring_frame(row, task.features), of=place).sum()) for place in range(3)]
    assert found.score == pytest.approx(max(raw))


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_any_model_can_be_asked_what_another_value_would_change(kind: str) -> None:
    task, row, sample = trainable.task(kind=kind), rows(kind, 3, 1), rows(kind, 100, 60)
    found = permutation(task, 1, trainable.trained(kind).model, row, sample)
    assert found.kind == "permutation"
    assert found.unit == ("target" if kind == "regression" else "log_odds")
    assert (found.of is not None) == (kind == "multiclass")
    assert {each.feature for each in found.contributions} == {"hour", "distance", "carrier"}
    least = min(found.contributions, key=lambda each: abs(each.effect))
    assert least.feature == "distance"  # it decides nothing
    same = permutation(task, 1, trainable.trained(kind).model, row, row)
    assert [each.effect for each in same.contributions] == pytest.approx([0, 0, 0])
    assert same.base == pytest.approx(found.score)
    with pytest.raises(DataError, match="no sample rows"):
        permutation(task, 1, trainable.trained(kind).model, row, sample.slice(0, 0))


def test_a_model_that_cannot_explain_says_so() -> None:
    parameters = {"iterations": 5, "loss_function": "Poisson"}
    counts = {"expression": "greatest(delay, 0)", "kind": "regression"}
    task = trainable.task(target=counts, training=trainable.training(parameters=parameters))
    frame = trainable.frame(kind="regression")
    frame.rows.label[:] = np.maximum(frame.rows.label, 0)
    model = train(task, frame).model
    assert not model.explains
    with pytest.raises(DataError, match="cannot say what each feature adds"):
        explain(task, 1, model, rows("regression", 3, 1))
