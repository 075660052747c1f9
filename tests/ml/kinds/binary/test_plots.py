import io

import numpy as np
import pytest
from matplotlib.image import imread

from pipeline_assets.ml.kinds.binary import plots
from tests import trainable

PLOTS = ("roc", "precision_recall", "calibration", "quality_by_threshold", "learning_curves", "importance")


def draw() -> dict[str, bytes]:
    made = trainable.trained()
    return plots.plots(made.validation, made.prediction, made.fit, "delays, январь")


@pytest.fixture(scope="module")
def drawn() -> dict[str, bytes]:
    return draw()


def inked(image: bytes) -> float:
    """Share of the pixels that are not white."""
    pixels = imread(io.BytesIO(image), format="png")[:, :, :3]
    return float(np.mean(np.any(pixels < 0.99, axis=2)))


def test_every_plot_is_a_small_picture_of_something(drawn: dict[str, bytes]) -> None:
    assert tuple(drawn) == PLOTS
    for image in drawn.values():
        assert len(image) < 80_000
        assert 0.01 < inked(image) < 0.9


def test_the_same_training_draws_the_same_bytes(drawn: dict[str, bytes]) -> None:
    assert draw() == drawn


@pytest.mark.parametrize("probability", [[0.5, 0.5, 0.5, 0.5], [0.0, 0.0, 1.0, 1.0]])
def test_probabilities_without_spread_can_be_drawn(probability: list[float]) -> None:
    label = np.array([0, 1, 0, 1], np.int8)
    for drawing in (plots.roc, plots.precision_recall, plots.calibration):
        assert inked(drawing(label, np.array(probability), "flat")) > 0.005
