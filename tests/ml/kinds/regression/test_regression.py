import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sklearn_metrics

from pipeline_assets.errors import DataError
from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.kinds.regression import Regression, metrics
from pipeline_assets.ml.kinds.regression.plots import plots
from pipeline_assets.ml.prediction import Prediction
from pipeline_assets.task.spec import Target
from tests import trainable

LOG = Target(expression="y", kind="regression", transform="log1p")
PLAIN = Target(expression="y", kind="regression")


def rows(label: list[float]) -> LabelledRows:
    return LabelledRows(pd.DataFrame(index=range(len(label))), np.array(label), np.arange(len(label)))


def test_metrics_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    label = rng.lognormal(size=200)
    predicted = label + rng.normal(size=200)
    assert metrics.scores(label, predicted) == pytest.approx(
        {
            "rmse": sklearn_metrics.root_mean_squared_error(label, predicted),
            "mae": sklearn_metrics.mean_absolute_error(label, predicted),
            "r2": sklearn_metrics.r2_score(label, predicted),
            "median_absolute_error": sklearn_metrics.median_absolute_error(label, predicted),
        }
    )


def test_labels_without_spread_have_metrics_and_no_rows_have_none() -> None:
    assert metrics.scores(np.full(3, 2.0), np.full(3, 2.0))["r2"] == 1
    assert metrics.scores(np.full(3, 2.0), np.full(3, 1.0))["r2"] == 0
    with pytest.raises(DataError, match="no rows"):
        metrics.scores(np.zeros(0), np.zeros(0))


def test_with_log1p_a_model_learns_the_logarithm_and_predicts_in_the_targets_unit() -> None:
    of = rows([0.0, 9.0, -0.5])
    learned = Regression().learned(LOG, of).label
    np.testing.assert_allclose(learned, np.log([1, 10, 0.5]))
    np.testing.assert_allclose(Regression().prediction(LOG, learned, ()).output, of.label, atol=1e-12)
    assert np.isfinite(Regression().prediction(LOG, np.array([1e9]), ()).output).all()
    assert Regression().learned(PLAIN, of) is of


def test_the_relative_error_is_left_out_where_a_label_is_0() -> None:
    prediction = Prediction(np.array([1.0, 3.0]))
    assert Regression().details(rows([0.0, 2.0]), prediction) == {"mean_error": 1.0}
    found = Regression().details(rows([2.0, 2.0]), prediction)
    assert found == {"mean_error": 0.0, "mean_absolute_percentage_error": 0.5}


def test_labels_that_are_all_equal_are_refused_to_learn_from_and_can_evaluate() -> None:
    of = rows([3.0, 3.0])
    assert (
        Regression().label_problem(of, "learn") == "2 rows, all with the label 3; needed are rows of different labels"
    )
    assert Regression().label_problem(of, "evaluate") is None


@pytest.mark.parametrize("label", [[1.0, 1.0, 1.0], [0.0, 1e12, 5.0], [-3.0, 2.0, 0.0]])
def test_any_labels_can_be_drawn(label: list[float]) -> None:
    drawn = plots(np.array(label), np.array(label) + 1, trainable.trained("regression").fit, "title")
    assert list(drawn) == ["predicted_and_actual", "residuals", "learning_curves", "importance"]
    assert all(len(image) < 100_000 for image in drawn.values())
