import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from pipeline_assets.ml.kinds.binary.metrics import scores
from pipeline_assets.ml.ranking import ranking

_ROWS = st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.1000001, 0.5, 0.9, 1.0])), min_size=2)


@given(_ROWS.filter(lambda rows: len({label for label, _ in rows}) == 2))
def test_ranks_as_scikit_learn_does(rows: list[tuple[bool, float]]) -> None:
    label, score = np.array([one for one, _ in rows], np.int8), np.array([each for _, each in rows])
    found = scores(label, score)
    assert found["roc_auc"] == metrics.roc_auc_score(label, score)  # to the last bit
    assert found["average_precision"] == metrics.average_precision_score(label, score)
    assert found["log_loss"] == pytest.approx(metrics.log_loss(label, score), abs=1e-12)
    assert found["brier_score"] == pytest.approx(metrics.brier_score_loss(label, score), abs=1e-12)


def test_rows_of_one_score_are_one_entry() -> None:
    found = ranking(np.array([1, 0, 1, 0]), np.array([0.5, 0.5, 0.9, 0.1]))
    assert (found.score.tolist(), found.hits.tolist(), found.rows.tolist()) == ([0.9, 0.5, 0.1], [1, 2, 2], [1, 3, 4])
    assert len(ranking(np.array([]), np.array([])).score) == 0


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_evaluating_does_not_wait_for_scikit_learn(kind: str) -> None:
    script = f"""
import sys
import numpy as np
from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.prediction import Prediction
from pipeline_assets.task import plugins
label = np.array([0, 1, 0, 1])
chance = np.array([0.1, 0.7, 0.6, 0.4])
classes = ("no", "yes") if {kind!r} == "multiclass" else ()
rows = LabelledRows(None, label, np.arange(4), classes=classes)
prediction = Prediction(np.column_stack([1 - chance, chance]) if classes else chance, classes)
plugins.kind({kind!r}).evaluate(rows, prediction)
sys.exit(", ".join(set(sys.modules) & {{"sklearn", "scipy", "pandas", "catboost"}}) or 0)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
