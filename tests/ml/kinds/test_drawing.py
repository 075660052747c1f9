import numpy as np

from pipeline_assets.ml.kinds import drawing


def test_many_features_with_odd_names_stay_small() -> None:
    shares = {f"$price_{number}^$ {'long ' * 20}": float(number) for number in range(200)}
    assert len(drawing.importance(shares, "a $ title $")) < 100_000


def test_long_curves_stay_small() -> None:
    values = (1 + np.random.default_rng(0).random(20_000)).tolist()
    curves = {"training": {"Logloss": values}, "stopping": {"Logloss": values, "AUC": values}}
    assert len(drawing.learning_curves(curves, 19_999, "long")) < 100_000
