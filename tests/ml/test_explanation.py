import pyarrow as pa
import pytest

from pipeline_assets.ml.explanation import explain, probability
from tests import trainable


def test_base_and_contributions_add_up_to_the_score_and_the_largest_comes_first() -> None:
    (features,) = trainable.table().slice(3, 1).select(["row_number", "hour", "distance", "carrier"]).to_batches()
    assert isinstance(features, pa.RecordBatch)
    found = explain(trainable.task(), 7, trainable.trained().fit.model, features)
    sizes = [abs(each.log_odds) for each in found.contributions]
    assert found.version == 7
    assert sizes == sorted(sizes, reverse=True)
    assert found.log_odds == pytest.approx(found.base + sum(each.log_odds for each in found.contributions))
    assert found.probability == probability(found.log_odds)


def test_log_odds_of_any_size_are_probabilities() -> None:
    assert [probability(each) for each in (-1000.0, 0.0, 1000.0)] == [0.0, 0.5, 1.0]
    assert probability(trainable.log_odds(0.9)) == pytest.approx(0.9)
