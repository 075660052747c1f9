"""The truth of a predict batch through Dagster: what it writes, what its checks say, and what it refuses."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
from sklearn import metrics

from pipeline_assets.cli.run import failures
from pipeline_assets.errors import ContractError
from pipeline_assets.stores.marts import embedded_postgres
from tests.examples import orders, shop, with_column
from tests.workbench import Workbench

BATCH, OTHER = "2026-02", "2026-03"
WATCHED = {"truth": {"fail": {"roc_auc": 0.4, "log_loss": 0.7}, "warn": {"roc_auc": 0.999}, "minimum_rows": 10}}


def came_true(count: int = 90) -> pa.Table:
    """Orders by their key, and whether they came back; every tenth is not known yet."""
    returned = [None if row % 10 == 9 else row % 3 == 0 for row in range(count)]
    return pa.table({"order_id": pa.array(range(count), pa.int64()), "returned": returned})


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {found.check_name: found.passed for found in result.get_asset_check_evaluations()}


def whole(place: Workbench, batch: str = BATCH) -> dict[str, Any]:
    (row,) = place.mart("quality", batch=batch, segment="")
    return row


@pytest.fixture(scope="module")
def predicted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    """A trained task with two predicted batches, for all tests: each puts a file of truth of its own in."""
    root = tmp_path_factory.mktemp("truth")
    with dg.DagsterInstance.ephemeral() as instance:
        place = Workbench(root, shop(monitoring=WATCHED), instance)
        place.put("train", "2026-01", orders(300))
        place.succeed("train", "2026-01")
        for batch, first in ((BATCH, 0), (OTHER, 900)):
            rows = with_column(orders(100, stage="predict"), "order_id", [*range(first, first + 100)])
            place.put("predict", batch, rows)
            place.succeed("predict", batch)
        yield place
    embedded_postgres.stop(root / ".pipeline" / "postgres")


def known(place: Workbench, labels: Sequence[tuple[int, bool | None]]) -> tuple[list[bool], list[float]]:
    """Labels and probabilities of the orders whose label is known."""
    rows = {row["order_id"]: row["probability"] for row in place.mart("lineage", batch=BATCH)}
    pairs = [(label, rows[order]) for order, label in labels if label is not None and order in rows]
    return [label for label, _ in pairs], [probability for _, probability in pairs]


def test_a_batch_is_judged_by_its_file_of_truth(predicted: Workbench) -> None:
    predicted.put("truth", BATCH, came_true())
    result = predicted.run("truth", BATCH)
    assert result.success, failures(result)
    assert failures(result) == []
    assert checks(result) == {"keys_match": True, "beats_baseline": True, "quality": True, "quality_warning": True}
    row = whole(predicted)
    truth = came_true().to_pydict()
    labels, probability = known(predicted, list(zip(truth["order_id"], truth["returned"], strict=True)))
    assert (row["model_version"], row["predictions"], row["judged_rows"]) == (1, 100, 81)
    assert row["log_loss"] == pytest.approx(metrics.log_loss(labels, probability))
    assert row["roc_auc"] == pytest.approx(metrics.roc_auc_score(labels, probability))
    assert row["baseline_roc_auc"] == 0.5
    assert row["baseline_log_loss"] > row["log_loss"]
    decided = [each >= 0.5 for each in probability]
    assert row["precision"] == pytest.approx(metrics.precision_score(labels, decided))
    assert row["recall"] == pytest.approx(metrics.recall_score(labels, decided))
    assert (row["label_mean"], row["baseline_precision"]) == (pytest.approx(sum(labels) / 81), row["label_mean"])
    assert sum(each["rows"] for each in json.loads(row["calibration"])) == 81
    segments = [each for each in predicted.mart("quality", batch=BATCH) if each["segment"] == "country"]
    assert {each["segment_value"]: each["predictions"] for each in segments} == {"DE": 34, "FR": 33, "RU": 33}
    assert sum(each["judged_rows"] for each in segments) == 81


def test_what_does_not_meet_is_counted_and_said(predicted: Workbench) -> None:
    rows = [
        *[(row, row % 3 == 0) for row in range(60)],
        (5, False),  # the same again
        (6, False),  # another label than before
        (70, None),
        (None, True),
        (1000, True),  # was not predicted
    ]
    predicted.put(
        "truth", BATCH, pa.table({"order_id": [key for key, _ in rows], "label": [label for _, label in rows]})
    )
    result = predicted.run("truth", BATCH)
    assert result.success
    assert checks(result)["keys_match"] is False
    assert failures(result) == []  # it warns
    counts = json.loads(whole(predicted)["matching"])
    assert counts == {
        "predictions": 100, "judged": 59, "truth_rows": 65, "unusable": 1, "repeated": 2, "keys": 62,
        "contradicting": 1, "unlabelled": 1, "unpredicted": 1, "first_unusable": 63,
    }  # fmt: skip
    (said,) = [each for each in result.get_asset_check_evaluations() if each.check_name == "keys_match"]
    assert "1 rows of the truth cannot be read (the first is row 63)" in str(said.description)
    assert "1 keys have different labels" in str(said.description)


def test_a_missed_limit_fails_the_check_and_a_stricter_one_warns(predicted: Workbench) -> None:
    opposite = [None if each is None else not each for each in came_true()["returned"].to_pylist()]
    predicted.put("truth", BATCH, with_column(came_true(), "returned", opposite))
    result = predicted.run("truth", BATCH)
    assert checks(result) == {"keys_match": True, "beats_baseline": False, "quality": False, "quality_warning": False}
    (said,) = failures(result)
    assert "check quality of shop/truth: version 1, 81 rows: roc_auc is" in said
    assert "at least 0.4 is wanted; log_loss is" in said
    assert "at most 0.7 is wanted" in said


def test_few_labels_judge_nothing_and_say_so(predicted: Workbench) -> None:
    predicted.put("truth", BATCH, came_true(5))
    result = predicted.run("truth", BATCH)
    assert failures(result) == []
    evaluated = {each.check_name: each for each in result.get_asset_check_evaluations()}
    assert not evaluated["quality"].passed
    assert evaluated["quality"].severity == dg.AssetCheckSeverity.WARN
    assert "5 labels are known; 10 are needed" in str(evaluated["quality"].description)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        pytest.param({"order": [1], "label": [1]}, r"column: +order_id\n +found: +order, label", id="no key"),
        pytest.param(
            {"order_id": [1], "back": [True]}, r"column: +label(.|\n)*order_id, and either returned", id="no label"
        ),
        pytest.param(
            {"order_id": [[1]], "label": [1]},
            r"column: +order_id\n +found: +list<int64>\n +expected: +int64",
            id="type",
        ),
        pytest.param(
            {"order_id": [500], "label": [1]},
            r"no prediction of the batch gets a label(.|\n)*unpredicted 1",
            id="batch",
        ),
        pytest.param({"order_id": [1, 2], "label": [7, 8]}, r"gets a label(.|\n)*unusable 2", id="labels"),
        pytest.param(
            {"order_id": [1, 2], "label": ["maybe", "maybe"]},
            r"2 labels of predicted rows cannot be read, the first is 'maybe' in label;(.|\n)*label: 0 or 1",
            id="words",
        ),
        pytest.param(
            {"order_id": [1, 2], "returned": ["maybe", "maybe"]},
            r"the first is 'maybe' in returned;(.|\n)*expected: +returned: bool\n +do: +write these columns",
            id="words of the target",
        ),
    ],
)
def test_a_wrong_file_is_refused_by_name(predicted: Workbench, table: dict[str, Any], said: str) -> None:
    before = predicted.mart("quality")
    predicted.put("truth", BATCH, pa.table(table))
    result = predicted.run("truth", BATCH)
    assert not result.success
    (error,) = failures(result)
    assert f"{BATCH}.parquet" in error
    assert re.search(said, error), error
    assert predicted.mart("quality") == before


def test_a_later_train_batch_with_the_same_keys_is_a_truth_too(predicted: Workbench) -> None:
    with pytest.raises(ContractError, match="has not been predicted"):
        predicted.run("truth", "2026-09")
    predicted.path("truth", BATCH).unlink()
    # The keys of the batch are in the train batch too, but the version has learned from that one.
    result = predicted.run("truth", BATCH)
    assert "there is no truth of the batch" in failures(result)[0]
    later = with_column(orders(40), "returned", [True if row % 2 else None for row in range(40)])
    predicted.put("train", "2026-02", later)
    predicted.run("train", "2026-02")
    predicted.run("truth", BATCH)
    row = whole(predicted)
    assert (row["truth_from"], row["judged_rows"]) == ("train 2026-02", 20)
    result = predicted.run("truth", OTHER)
    assert "there is no truth of the batch" in failures(result)[0]
    assert f"shop/truth/{OTHER}.parquet" in failures(result)[0]


def test_each_version_keeps_its_own_judgement(predicted: Workbench) -> None:
    predicted.put("truth", BATCH, came_true())
    predicted.run("truth", BATCH)
    predicted.use(shop(monitoring=WATCHED, selection={"policy": "latest"}))
    predicted.run("train", "2026-01")
    predicted.succeed("predict", BATCH)
    predicted.run("truth", BATCH)
    predicted.run("truth", BATCH)
    assert [row["model_version"] for row in predicted.mart("quality", segment="")] == [1, 2]
