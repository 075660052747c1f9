from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pydantic import ValidationError

from pipeline_assets.errors import DataError
from pipeline_assets.ml.prediction import Prediction
from pipeline_assets.ml.scoring import Scorer, scores_schema
from pipeline_assets.task.contract import Contract, of_file
from pipeline_assets.task.spec import TaskSpec
from pipeline_assets.task.validation import rule_types
from tests.examples import orders, shop
from tests.task.test_contract import found


def numbered(count: int) -> pa.Table:
    rows = orders(count, stage="predict")
    return rows.add_column(0, "row_number", pa.array(range(10, 10 + count), pa.int64()))


def fifths(batch: pa.RecordBatch, threshold: float = 0.5) -> Prediction:
    return Prediction(np.arange(batch.num_rows) / 5, threshold=threshold)


def scored(task: TaskSpec, count: int = 5, threshold: float = 0.5) -> tuple[pa.Table, pa.Table]:
    """Scores and output of orders whose probability is 0, 0.2, 0.4 ..."""
    return outcome(Scorer(of_file_of(task), "2026-01", partial(fifths, threshold=threshold), 7), numbered(count))


def outcome(scorer: Scorer, rows: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Scores and output of rows as they came, the row number first."""
    (batch,) = rows.combine_chunks().to_batches()

    def came(columns: Sequence[str]) -> pa.RecordBatch:
        return batch.select(["row_number", *columns])

    done = scorer.score(batch.select(["row_number"]), came(scorer.deciding_columns))
    gone = pc.is_in(batch["row_number"], done.kept["row_number"])
    output = scorer.output(done.kept, came(scorer.output_columns).filter(gone))
    assert scorer.output_schema(came(scorer.output_columns).schema) == output.schema
    return pa.table(done.scores), pa.table(output)


def test_every_row_is_scored_and_the_output_is_the_input_filtered() -> None:
    scores, output = scored(shop())
    assert scores.schema == scores_schema(shop())
    assert scores.column_names == ["row_number", "probability", "predicted_label", "decision"]
    assert scores["decision"].to_pylist() == [False, False, False, True, True]
    assert output.select(orders(1, stage="predict").column_names).equals(orders(5, stage="predict").slice(3))
    assert output["batch"].to_pylist() == ["2026-01"] * 2
    assert output["row_number"].to_pylist() == [13, 14]


def test_expressions_of_the_output_know_the_versions_threshold() -> None:
    output = {"where": "probability >= threshold", "append": ["predicted_label", "threshold"]}
    scores, kept = scored(shop(output=output), threshold=0.3)
    assert scores.column_names == ["row_number", "probability", "predicted_label", "decision"]
    assert scores["predicted_label"].to_pylist() == scores["decision"].to_pylist() == [False, False, True, True, True]
    assert (
        kept.select(["predicted_label", "threshold"]).to_pylist() == [{"predicted_label": True, "threshold": 0.3}] * 3
    )
    _, selected = scored(shop(output={"select": {"above": "probability - threshold"}}), threshold=0.3)
    assert selected["above"].to_pylist() == pytest.approx([-0.3, -0.1, 0.1, 0.3, 0.5])


def test_a_column_called_threshold_keeps_its_name_and_the_versions_steps_aside() -> None:
    columns = dict(shop().columns, threshold={"type": "float64"})
    task = shop(columns=columns, output={"where": "probability >= pipeline_threshold and threshold > 1"})
    assert rule_types(task) == {
        "probability": "DOUBLE",
        "predicted_label": "BOOLEAN",
        "pipeline_threshold": "DOUBLE",
    }


def test_without_a_rule_every_row_goes_out_with_its_scores_and_nothing_is_decided() -> None:
    scores, output = scored(shop(output=None))
    assert scores.column_names == ["row_number", "probability", "predicted_label"]
    own = orders(1, stage="predict").column_names
    assert output.column_names == [*own, "probability", "predicted_label", "batch", "row_number"]
    assert output["probability"].to_pylist() == [0, 0.2, 0.4, 0.6, 0.8]
    assert output["predicted_label"].to_pylist() == [False, False, False, True, True]


@pytest.mark.parametrize(
    ("output", "appended"),
    [
        ({"where": "probability >= 0.5"}, []),
        ({"append": []}, []),
        ({"append": ["model_version"]}, ["model_version"]),
    ],
)
def test_scores_are_appended_by_default_only_where_nothing_else_shows_them(
    output: dict[str, object], appended: list[str]
) -> None:
    _, found = scored(shop(output=output))
    own = orders(1, stage="predict").column_names
    assert found.column_names == [*own, *appended, "batch", "row_number"]


def test_a_rule_that_gives_null_keeps_no_row() -> None:
    scores, output = scored(shop(output={"where": "note = 'Gift'"}))
    assert scores["decision"].to_pylist() == [True, False, False, False, False]
    assert output.num_rows == 1


def test_appended_columns_stand_after_the_inputs_own() -> None:
    _, output = scored(
        shop(output={"where": "probability > 0.7", "append": ["probability", "decision", "model_version"]})
    )
    own = orders(1, stage="predict").column_names
    assert output.column_names == [*own, "probability", "decision", "model_version", "batch", "row_number"]
    assert output.to_pylist()[0]["model_version"] == 7


def test_a_select_of_the_tasks_own_keeps_the_row_address() -> None:
    _, output = scored(shop(output={"select": {"id": "order_id", "percent": "round(probability * 100)"}}))
    assert output.column_names == ["id", "percent", "batch", "row_number"]
    assert output["percent"].to_pylist() == [0, 20, 40, 60, 80]


def test_raw_columns_are_asked_for_only_where_an_expression_or_the_file_needs_them() -> None:
    def asked(**output: object) -> tuple[tuple[str, ...], tuple[str, ...]]:
        scorer = Scorer(of_file_of(shop(output=output)), "2026-01", fifths, 7)
        return scorer.deciding_columns, scorer.output_columns

    everything = tuple(orders(1, stage="predict").column_names)
    assert asked(where="probability > threshold") == ((), everything)
    assert asked(where="Price > 2 or note is null", append=["decision"]) == (("price", "note"), everything)
    assert asked(select={"id": "order_id", "of": "decision"}, where="probability > 0") == ((), ("order_id",))


def test_an_output_of_other_rows_than_were_kept_is_an_error() -> None:
    scorer = Scorer(of_file_of(shop()), "2026-01", fifths, 7)
    (batch,) = numbered(5).to_batches()
    kept = scorer.score(batch.select(["row_number"])).kept
    with pytest.raises(DataError, match="not those of the checked file"):
        scorer.output(kept, batch.slice(0, kept.num_rows))


def test_an_expression_that_fails_is_named_with_its_row() -> None:
    task = shop(output={"select": {"id": "order_id", "rest": "cast('x' || (case when price > 3 then '' end) as int)"}})
    with pytest.raises(DataError, match=r"the expression output.select.rest fails on a row") as caught:
        scored(task)
    assert caught.value.facts["column"] == "output.select.rest"
    assert str(caught.value.facts["found"]).startswith("row 12: ")  # 1.5, 2.5, 3.5: the third row, numbered from 10


def test_a_rule_that_fails_is_named_with_its_row() -> None:
    with pytest.raises(DataError, match="the expression output.where fails on a row") as caught:
        scored(shop(output={"where": "cast(note as integer) > 0"}))
    assert str(caught.value.facts["found"]).startswith("row 10: ")


def test_the_pipelines_own_columns_step_aside_for_the_files() -> None:
    task = shop(output={"append": ["probability", "model_version"]})
    columns = found()
    del columns["returned"]
    for name in ("probability", "batch"):
        columns[name] = "VARCHAR"
    contract = replace(of_file_of(task), raw=tuple(columns))
    rows = numbered(5)
    for name in ("probability", "batch"):
        rows = rows.append_column(name, pa.array(["theirs"] * 5))
    _, output = outcome(Scorer(contract, "2026-01", fifths, 7), rows)
    own = [*orders(1, stage="predict").column_names, "probability", "batch"]
    assert output.column_names == [
        *own, "pipeline_probability", "model_version", "pipeline_batch", "row_number"
    ]  # fmt: skip
    assert output.column("probability").to_pylist() == ["theirs"] * 5
    assert output.column("pipeline_probability").to_pylist() == [0, 0.2, 0.4, 0.6, 0.8]


def of_file_of(task: TaskSpec) -> Contract:
    columns = found()
    del columns["returned"]
    return of_file(task, "predict", columns)


def test_expressions_see_the_score_columns_of_the_kind() -> None:
    classes = {"expression": "note", "kind": "multiclass"}
    output = {
        "where": "probabilities['b'] > 0.3",
        "select": {"said": "predicted_label", "b": "probabilities['b']", "none": "probabilities['never seen']"},
    }
    task = shop(target=classes, output=output)

    def thirds(batch: pa.RecordBatch) -> Prediction:
        of_b = np.arange(batch.num_rows) / 4
        return Prediction(np.column_stack([1 - of_b, of_b]), ("a", "b"))

    scores, kept = outcome(Scorer(of_file_of(task), "2026-01", thirds, 7), numbered(5))
    assert scores.schema == scores_schema(task)
    assert scores.column_names == ["row_number", "predicted_label", "probability", "probabilities", "decision"]
    assert kept.to_pylist() == [
        {"said": "a", "b": 0.5, "none": None, "batch": "2026-01", "row_number": 12},
        {"said": "b", "b": 0.75, "none": None, "batch": "2026-01", "row_number": 13},
        {"said": "b", "b": 1.0, "none": None, "batch": "2026-01", "row_number": 14},
    ]


def test_a_number_is_kept_appended_and_used_in_its_own_unit() -> None:
    target = {"expression": "price", "kind": "regression"}
    output = {"where": "prediction >= price", "append": ["prediction", "decision"]}
    task = shop(target=target, output=output)
    _, kept = scored(task)  # predicts 0, 0.2, 0.4, ... for prices 1.5, 2.5, ...
    assert kept.num_rows == 0
    assert kept.column_names[-4:] == ["prediction", "decision", "batch", "row_number"]
    with pytest.raises(ValidationError, match=r"(?s)output\.where.*no column probability"):
        shop(target=target, output={"where": "probability > 0.5"})
