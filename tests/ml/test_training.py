import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipeline_assets.errors import DataError
from pipeline_assets.ml.dataset import TrainingFrame, training_frame
from pipeline_assets.ml.kinds.base import kind_of
from pipeline_assets.ml.split import SplitRule
from pipeline_assets.ml.trainers.base import trainer
from pipeline_assets.ml.training import evaluate, train, validation_rows
from pipeline_assets.task.spec import TaskSpec
from tests import trainable


def with_labels(labels: pa.Array | pa.ChunkedArray) -> pa.Table:
    table = trainable.table()
    return table.set_column(table.schema.get_field_index("label"), "label", labels.cast(pa.int8()))


def test_a_model_beats_the_baseline_and_says_what_it_was_made_of() -> None:
    made = trainable.trained()
    assert made.metrics["roc_auc"] > 0.85 > made.baseline["roc_auc"] == 0.5
    assert made.metrics["log_loss"] < made.baseline["log_loss"]
    unlabelled = trainable.table().column("label").null_count
    assert made.unlabelled == unlabelled
    assert made.training_rows + made.stopping_rows + len(made.validation) + unlabelled == trainable.ROWS
    assert made.split.validation_from == "2013-01-24"
    assert made.details["precision_at_0.5"] > 0.5


def test_the_same_rows_give_the_same_model_whatever_their_order_and_batches() -> None:
    first = trainable.trained()
    shuffled = trainable.table().take(np.random.default_rng(1).permutation(trainable.ROWS))
    again = train(trainable.task(), training_frame(trainable.stream(shuffled, batch=77), trainable.task()))
    np.testing.assert_array_equal(again.prediction.output, first.prediction.output)
    assert again.metrics == first.metrics
    assert again.fit.curves == first.fit.curves


def test_a_seed_makes_another_model() -> None:
    other = trainable.task(training=trainable.training(seed=5))
    assert train(other, trainable.frame()).prediction.output.tolist() != trainable.trained().prediction.output.tolist()


def test_a_split_by_share_needs_no_order() -> None:
    shared = trainable.task(training=trainable.training(validation={"split": "share", "fraction": 0.3}))
    table = trainable.table().drop_columns(["split_by"])
    made = train(shared, training_frame(trainable.stream(table), shared))
    assert made.split.by == "share"
    assert made.metrics["roc_auc"] > 0.85


def weighted(weight: list[float]) -> tuple[TaskSpec, TrainingFrame]:
    """The task with its rows' weights; the column of the weights is the feature stream's."""
    task = trainable.task(training=trainable.training(weight="distance"))
    return task, training_frame(trainable.stream(trainable.table().append_column("weight", pa.array(weight))), task)


def test_weights_reach_the_fit_and_its_refit_and_metrics_do_not_know_them() -> None:
    weight = [float(number % 3) for number in range(trainable.ROWS)]
    task, frame = weighted(weight)
    rows = frame.rows
    labelled = trainable.table().column("label").is_valid().to_numpy()
    assert rows.weight is not None
    assert rows.weight.tolist() == np.asarray(weight)[labelled].tolist()
    made = train(task, frame)
    by_hand = trainer("catboost").refit(task, rows, made.fit)
    np.testing.assert_array_equal(made.model.predict(rows.features), by_hand.predict(rows.features))
    assert made.prediction.output.tolist() != trainable.trained().prediction.output.tolist()
    assert made.metrics == kind_of(task).evaluate(made.validation, made.prediction)
    assert made.baseline == trainable.trained().baseline


def test_a_label_whose_rows_all_weigh_nothing_is_refused() -> None:
    label = trainable.table().column("label").fill_null(0).to_pylist()
    with pytest.raises(DataError, match="labelled rows do not have the labels"):
        train(*weighted([float(value) for value in label]))


def test_evaluating_a_model_on_its_own_validation_rows_gives_its_own_metrics() -> None:
    made = trainable.trained()
    assert evaluate(trainable.task(), made.fit.model, made.validation) == made.metrics


def test_no_labels_at_all_is_refused() -> None:
    with pytest.raises(DataError, match="900 rows, all without a label") as caught:
        train(trainable.task(), trainable.frame(with_labels(pa.nulls(trainable.ROWS))))
    assert caught.value.facts["task"] == "delays"


def test_one_label_only_is_refused() -> None:
    zeros = pa.array(np.zeros(trainable.ROWS, np.int8))
    with pytest.raises(DataError, match=r"(?s)the labelled rows .* 900 of label 0"):
        train(trainable.task(), trainable.frame(with_labels(zeros)))


@pytest.mark.parametrize("side", ["training", "stopping", "validation"])
def test_a_side_with_one_label_only_is_refused(side: str) -> None:
    rule = trainable.trained().split
    days = trainable.table().column("split_by")
    bounds = [dt.date.fromisoformat(str(each)) for each in (rule.first, rule.stopping_from, rule.validation_from)]
    place = ("training", "stopping", "validation").index(side)
    here = pc.greater_equal(days, pa.scalar(bounds[place]))
    if place < 2:
        here = pc.and_(here, pc.less(days, pa.scalar(bounds[place + 1])))
    labels = pc.if_else(here, pa.scalar(0, pa.int8()), trainable.table().column("label"))
    with pytest.raises(DataError, match=f"the {side} rows do not have the labels"):
        train(trainable.task(), trainable.frame(with_labels(labels)))


def test_an_error_of_the_split_names_the_task() -> None:
    table = trainable.table()
    one_day = table.set_column(6, "split_by", pa.array([table.column("split_by")[0].as_py()] * trainable.ROWS))
    with pytest.raises(DataError, match="too few values") as caught:
        train(trainable.task(), trainable.frame(one_day))
    assert caught.value.facts["task"] == "delays"


def test_rows_that_evaluate_neither_fit_nor_stop_the_model() -> None:
    """The labels of the validation rows change the metrics alone: the model does not see them."""
    made = trainable.trained()
    late = pc.greater_equal(trainable.table().column("split_by"), pa.scalar(dt.date(2013, 1, 24)))
    labels = trainable.table().column("label")
    turned = pc.if_else(late, pc.subtract(pa.scalar(1, pa.int8()), labels), labels)
    other = train(trainable.task(), trainable.frame(with_labels(turned)))
    np.testing.assert_array_equal(other.prediction.output, made.prediction.output)
    assert other.fit.curves == made.fit.curves
    assert other.metrics["roc_auc"] == pytest.approx(1 - made.metrics["roc_auc"])


def test_the_registered_model_has_learned_from_every_labelled_row_and_the_metrics_are_of_the_fit_before() -> None:
    made = trainable.trained()
    assert made.refitted
    assert made.model.native.tree_count_ == made.fit.best_iteration + 1
    assert evaluate(trainable.task(), made.fit.model, made.validation) == made.metrics
    late = pc.greater_equal(trainable.table().column("split_by"), pa.scalar(dt.date(2013, 1, 24)))
    labels = trainable.table().column("label")
    turned = pc.if_else(late, pc.subtract(pa.scalar(1, pa.int8()), labels), labels)
    other = train(trainable.task(), trainable.frame(with_labels(turned)))
    rows = made.validation.features
    assert other.model.predict(rows).tolist() != made.model.predict(rows).tolist()


def test_without_a_refit_the_evaluated_fit_is_registered() -> None:
    kept = trainable.task(training=trainable.training(refit=False))
    made = train(kept, trainable.frame())
    assert not made.refitted
    assert made.model is made.fit.model


def test_the_rows_that_evaluated_a_version_are_found_again_by_its_rule() -> None:
    made = trainable.trained()
    again = validation_rows(trainable.task(), trainable.frame(), SplitRule.from_json(made.split.to_json()))
    assert again.features.equals(made.validation.features)
