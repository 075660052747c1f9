"""A difference says how many decisions change, which way, where, and in which rows most."""

import json

import numpy as np
import pyarrow as pa
import pytest

from pipeline_assets.ml.choosing import choose, weighed
from pipeline_assets.ml.difference import (
    BY_RULE,
    Difference,
    Scored,
    Segment,
    Way,
    by_decision,
    difference,
    main_features,
    sampled,
)
from pipeline_assets.ml.difference_plot import difference_plot
from pipeline_assets.ml.kinds.binary import Binary
from pipeline_assets.ml.kinds.multiclass import Multiclass
from pipeline_assets.ml.kinds.regression import Regression
from pipeline_assets.ml.prediction import Prediction
from tests.ml.test_choosing import compared, task, version

BEFORE = Prediction(np.array([0.1, 0.4, 0.6, 0.9]))
AFTER = Prediction(np.array([0.1, 0.6, 0.2, 0.8]), threshold=0.3)


def found() -> Difference:
    kind = Binary()
    shown = [pa.record_batch(kind.columns(each), names=list(kind.score_types)) for each in (BEFORE, AFTER)]
    categories = {"country": pa.array(["DE", "FR", "FR", ""]).dictionary_encode()}
    numbers = np.array([3, 5, 8, 9])
    return difference(
        Scored("b", 8, (1, shown[0]), (2, shown[1]), numbers, kind.differences(BEFORE, AFTER), categories)
    )


def test_each_version_decides_by_its_own_threshold() -> None:
    here = found()
    assert (here.flipped, here.rows, here.of, here.share) == (2, 4, 8, 0.5)
    assert here.ways == (Way("0 → 1", 1), Way("1 → 0", 1))
    assert here.segments == (
        Segment("country", "FR", 2, 2), Segment("country", "", 1, 0), Segment("country", "DE", 1, 0)
    )  # fmt: skip
    # Flips first, then by how far the score moves; a row that is the same is not there.
    assert [row.row_number for row in here.changed] == [8, 5, 9]
    assert here.changed[0].champion == {"probability": 0.6, "predicted_label": True}
    assert here.changed[0].challenger == {"probability": 0.2, "predicted_label": False}
    assert here.sentence == (
        "version 2 would change 2 of 4 decisions of version 1 on batch b: 50.00 %; 0 → 1: 1; 1 → 0: 1. A decision"
        " changes by another predicted label; both versions scored one row in 2 of 8"
    )
    assert json.loads(json.dumps(here.to_json()))["share"] == 0.5


def test_a_rule_decides_where_the_task_has_one() -> None:
    found = by_decision(pa.array([True, False, True]), pa.array([True, True, False]), np.zeros(3))
    assert found.flipped.tolist() == [False, True, True]
    assert found.way[1:].tolist() == ["false → true", "true → false"]
    assert found.rule == BY_RULE


def test_classes_are_compared_by_name() -> None:
    before = Prediction(np.array([[0.9, 0.1], [0.2, 0.8]]), ("a", "b"))
    after = Prediction(np.array([[0.3, 0.6, 0.1], [0.0, 0.1, 0.9]]), ("b", "c", "d"))
    found = Multiclass().differences(before, after)
    assert found.way.tolist() == ["a → c", "b → d"]
    assert found.moved == pytest.approx([0.9, 1.0])


def test_a_number_flips_when_it_moves_on_the_scale_of_the_numbers() -> None:
    before = np.linspace(0, 100, 101)
    after = before + np.where(np.arange(101) % 50 == 0, 9.5, 8.5)
    found = Regression().differences(Prediction(before), Prediction(after))
    assert found.flipped.sum() == 3
    assert set(found.way) == {"up"}
    assert "moves by more than 9" in found.rule


def test_too_many_flips_leave_the_alias_to_a_person() -> None:
    versions, here = [version(1, champion=True), version(2)], found()
    for limit, winner in ((None, 2), (0.5, 2), (0.49, 1)):
        with_limit = task(max_flip_share=limit)
        choice = weighed(with_limit, choose(with_limit, versions, compared(2, v1=0.7, v2=0.8)), here)
        assert (choice.winner, choice.difference) == (winner, here)
    assert choice.reason == (
        "version 1 stays champion: version 2 would change 2 of 4 decisions of batch b, 50.00 % against the limit 49 %;"
        " pipeline-assets promote delays 2 gives it the alias; without the limit: version 2 becomes champion: it is"
        " better than 1, roc_auc 0.8000 against 0.7000 on the same validation rows"
    )
    assert choice.to_json()["difference"]["flipped"] == 2


def test_every_nth_row_is_taken_across_the_parts_of_a_stream() -> None:
    parts = [pa.record_batch({"n": pa.array(part, pa.int64())}) for part in ([0, 1, 2], [3], [4, 5, 6, 7])]
    for step in (1, 2, 3, 5):
        stream = pa.RecordBatchReader.from_batches(parts[0].schema, parts)
        assert sampled(stream, step).column("n").to_pylist() == list(range(0, 8, step))


def test_the_main_features_are_those_the_challenger_goes_by() -> None:
    assert main_features(["a", "b", "c", "d"], {"d": 60, "b": 30}) == ["d", "b", "a"]


def test_the_picture_is_small_and_always_the_same() -> None:
    assert difference_plot(found(), "t") == difference_plot(found(), "t")
    assert len(difference_plot(found(), "t")) < 60_000
