import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn import metrics as sklearn_metrics

from pipeline_assets.errors import DataError
from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.kinds.multiclass import Multiclass, metrics
from pipeline_assets.ml.kinds.multiclass.plots import confusion, plots
from pipeline_assets.ml.prediction import Prediction
from pipeline_assets.task.spec import Target
from tests import trainable


def rows(label: list[int], classes: tuple[str, ...]) -> LabelledRows:
    count = len(label)
    return LabelledRows(pd.DataFrame(index=range(count)), np.array(label, np.int32), np.arange(count), classes=classes)


def random(count: int, classes: int, seed: int = 0) -> tuple[LabelledRows, Prediction]:
    rng = np.random.default_rng(seed)
    names = tuple(f"c{place:02}" for place in range(classes))
    output: NDArray[np.float64] = rng.dirichlet(np.ones(classes), count)
    return rows(rng.integers(0, classes, count).tolist(), names), Prediction(output, names)


def test_metrics_are_those_of_scikit_learn() -> None:
    of, prediction = random(300, 5)
    found, predicted = metrics.scores(of, prediction), np.argmax(prediction.output, axis=1)
    assert tuple(found) == tuple(metrics.GREATER_IS_BETTER)
    expected = {
        "log_loss": sklearn_metrics.log_loss(of.label, prediction.output),
        "accuracy": sklearn_metrics.accuracy_score(of.label, predicted),
        "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(of.label, predicted),
        "f1_macro": sklearn_metrics.f1_score(of.label, predicted, average="macro"),
        "roc_auc_ovr": sklearn_metrics.roc_auc_score(of.label, prediction.output, multi_class="ovr"),
    }
    assert found == pytest.approx(expected)


def test_classes_meet_by_name_whatever_their_order() -> None:
    of, prediction = random(100, 4)
    turned = Prediction(prediction.output[:, ::-1], prediction.classes[::-1])
    assert metrics.scores(of, turned) == pytest.approx(metrics.scores(of, prediction))


def test_a_row_of_a_class_that_the_model_does_not_know_is_wrong_with_probability_0() -> None:
    of = rows([0, 1, 2], ("a", "b", "new"))
    found = metrics.scores(of, Prediction(np.array([[0.9, 0.1], [0.1, 0.9], [0.5, 0.5]]), ("a", "b")))
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["balanced_accuracy"] == pytest.approx(2 / 3)
    assert found["log_loss"] == pytest.approx((-2 * np.log(0.9) - np.log(np.finfo(float).eps)) / 3)
    assert found["roc_auc_ovr"] == pytest.approx((1 + 1 + 0.5) / 3)


def test_rows_of_one_class_cannot_evaluate() -> None:
    with pytest.raises(DataError, match="one class only"):
        metrics.scores(rows([1, 1], ("a", "b")), Prediction(np.full((2, 2), 0.5), ("a", "b")))


def test_the_baseline_is_the_shares_of_the_training_rows() -> None:
    found = Multiclass().baseline(rows([0, 0, 0, 2], ("a", "b", "c")), rows=2)
    assert found.classes == ("a", "c")
    assert found.output.tolist() == [[0.75, 0.25]] * 2


def test_the_score_is_the_most_probable_class_and_every_probability() -> None:
    prediction = Multiclass().prediction(Target(expression="y"), np.array([[0.2, 0.8], [0.6, 0.4]]), ("a", "б"))
    label, probability, probabilities = Multiclass().columns(prediction)
    assert label.to_pylist() == ["б", "a"]
    assert probability.to_pylist() == [0.8, 0.6]
    assert probabilities.to_pylist() == [[("a", 0.2), ("б", 0.8)], [("a", 0.6), ("б", 0.4)]]
    nothing = Multiclass().columns(Prediction(np.zeros((0, 2)), ("a", "б")))
    assert [column.to_pylist() for column in nothing] == [[], [], []]


def test_what_the_metrics_cannot_say_is_noted() -> None:
    classes = ("a", "b", "rare", "new")
    training, validation = rows([0, 1, 2], classes), rows([0, 1, 3], classes)
    assert Multiclass().notes(training, validation) == [
        "1 of 4 classes (rare) have no validation row, so the metrics do not say how well a model predicts them",
        "1 of 4 classes (new) have validation rows but no training row, so the evaluated model cannot predict them",
    ]
    assert Multiclass().notes(training, training) == []


def test_very_many_classes_are_none() -> None:
    names = tuple(f"{place:05}" for place in range(1001))
    problem = Multiclass().label_problem(rows(list(range(1001)), names), "learn")
    assert problem == "1001 rows of 1001 classes; there can be at most 1000"
    (note,) = Multiclass().notes(rows(list(range(100)), names[:100]), rows([0, 1], names[:100]))
    assert "98 of 100 classes (00002, " in note
    assert "and 78 more)" in note


@pytest.mark.parametrize("classes", [2, 23, 200])
def test_plots_of_many_classes_stay_small_and_readable(classes: int) -> None:
    of, prediction = random(600, classes)
    names, counts = confusion(of, prediction)
    assert counts.sum() == 600
    assert len(names) == len(counts) == min(classes, 30)
    assert names[-1] == ("171 others" if classes == 200 else f"c{classes - 1:02}")
    drawn = plots(of, prediction, trainable.trained("multiclass").fit, "a $ title")
    assert list(drawn) == ["confusion_matrix", "classes", "learning_curves", "importance"]
    assert all(len(image) < 150_000 for image in drawn.values())
