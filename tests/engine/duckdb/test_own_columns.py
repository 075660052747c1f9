"""A task's own Python function for preparation: from its file to features, in both stages, and what it may not do."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from pipeline_assets.engine.duckdb.accepted import load
from pipeline_assets.errors import DataError, TaskError
from pipeline_assets.task.batch import BatchRef
from pipeline_assets.task.loading import load_task
from pipeline_assets.task.preparation import (
    features_of,
    features_query,
    features_schema,
    input_mart_query,
    input_mart_schema,
    prepared_query,
)
from pipeline_assets.task.spec import Stage, TaskSpec
from tests.examples import SHOP, orders, with_column
from tests.fixtures.checked import checked, raw_rows

# The worked example of the documentation: words of a note.
PREPARE = """
import pyarrow as pa

def words(batches):
    for batch in batches:
        counts = [len((note or "").split()) for note in batch["note"].to_pylist()]
        yield pa.record_batch({"row_number": batch["row_number"], "words": pa.array(counts, pa.int64())})
"""


def written(folder: Path, prepare: str = PREPARE, **changes: Any) -> TaskSpec:
    """The example task with a function of its own, read from its folder."""
    attributes = {
        **SHOP,
        "preparation": {"function": "prepare.py:words", "columns": {"words": "int64"}},
        "features": {"numeric": {"price": "price", "words": "words + 1"}, "categorical": {"country": "country"}},
        **changes,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prepare.py").write_text(prepare, encoding="utf-8")
    component = {"type": "pipeline_assets.components.MLTask", "attributes": attributes}
    (folder / "defs.yaml").write_text(yaml.safe_dump(component), encoding="utf-8")
    return load_task(folder)


def noted(count: int, stage: Stage) -> pa.Table:
    table = with_column(orders(count, stage=stage), "note", [" ".join(["w"] * (row % 4)) for row in range(count)])
    return with_column(table, "price", [-1.0, *[1.0] * (count - 1)])  # the first row is rejected


@pytest.mark.parametrize("stage", ["train", "predict"])
def test_features_use_the_columns_of_the_function_in_both_stages(tmp_path: Path, stage: Stage) -> None:
    count = 1_200  # of row groups of 50
    task, ref, table = written(tmp_path / "shop"), BatchRef("shop", stage, "b"), noted(count, stage)
    files, _ = checked(tmp_path, task, ref, table.slice(0, 50), table.slice(50))
    batch = load(files, task, ref, tmp_path / "scratch")
    features = batch.stream(features_query).read_all()
    wanted = features_schema(task, stage)
    assert [(each.name, each.type) for each in features.schema] == [(each.name, each.type) for each in wanted]
    assert features["row_number"].to_pylist() == list(range(1, count))
    assert features["words"].to_pylist() == [row % 4 + 1.0 for row in range(1, count)]
    prepared = pa.concat_batches(list(batch.stream(prepared_query)))
    taken = pa.Table.from_batches([features_of(task, stage, prepared)])
    assert taken.equals(features.combine_chunks().cast(taken.schema))
    mart = batch.stream(input_mart_query).read_all()
    assert mart.schema.names == input_mart_schema(task, stage).names
    assert raw_rows(batch).num_rows == count - 1


FORMS = {
    "cuts its batches otherwise": "        yield made.slice(0, 1)\n        yield made.slice(1)\n",
    "gives its input back with more": '        yield batch.append_column("words", made["words"])\n',
}
WRONG = {
    "raises": (
        "        raise ValueError('no words')\n",
        "ValueError: no words, when it had got the rows from row 1 on",
    ),
    "leaves rows out": ("        yield made.slice(0, 3)\n", "the last 2 rows, from row 4 on, did not come back"),
    "gives rows twice": ("        yield made\n        yield made\n", "a batch from row 1 on"),
    "turns rows around": ("        yield made.take([4, 3, 2, 1, 0])\n", "a batch from row 5 on"),
    "gives another type": (
        "        yield made.cast(pa.schema({'row_number': pa.int64(), 'words': pa.float64()}))\n",
        "words: double, and not int64",
    ),
    "gives no column": ("        yield made.select(['row_number'])\n", "words: not there, and not int64"),
    "gives a table": ("        yield pa.Table.from_batches([made])\n", "Table"),
}


def of_body(body: str) -> str:
    head, _, _ = PREPARE.partition("        yield")
    made = (
        '        made = pa.record_batch({"row_number": batch["row_number"], "words": pa.array(counts, pa.int64())})\n'
    )
    return head + made + body


@pytest.mark.parametrize("form", FORMS)
def test_the_function_may_write_its_batches_as_it_likes(tmp_path: Path, form: str) -> None:
    task, ref = written(tmp_path / "shop", of_body(FORMS[form])), BatchRef("shop", "train", "b")
    files, _ = checked(tmp_path, task, ref, noted(6, "train"))
    features = load(files, task, ref, tmp_path / "scratch").stream(features_query).read_all()
    assert features["words"].to_pylist() == [2, 3, 4, 1, 2]


@pytest.mark.parametrize("case", WRONG)
def test_a_function_that_breaks_its_promise_is_named(tmp_path: Path, case: str) -> None:
    body, says = WRONG[case]
    task, ref = written(tmp_path / "shop", of_body(body)), BatchRef("shop", "train", "b")
    files, _ = checked(tmp_path, task, ref, noted(6, "train"))
    with pytest.raises(DataError, match=r"the preparation function prepare\.py:words") as refused:
        load(files, task, ref, tmp_path / "scratch").stream(features_query).read_all()
    assert says in str(refused.value.facts["found"])
    assert refused.value.facts["batch"] == "b"


def test_a_feature_that_raises_on_its_columns_is_named_with_its_row(tmp_path: Path) -> None:
    features = {"numeric": {"inverse": "6 // (words - 3)"}}
    task, ref = written(tmp_path / "shop", features=features), BatchRef("shop", "train", "b")
    files, _ = checked(tmp_path, task, ref, noted(6, "train"))
    with pytest.raises(DataError, match="the feature inverse cannot be computed on row 3"):
        load(files, task, ref, tmp_path / "scratch").stream(features_query).read_all()


def test_the_source_is_part_of_the_features_and_not_of_the_contract(tmp_path: Path) -> None:
    one, other = written(tmp_path / "a"), written(tmp_path / "b", PREPARE + "# changed\n")
    again = written(tmp_path / "c")
    assert one.fingerprint("features") == again.fingerprint("features") != other.fingerprint("features")
    assert one.fingerprint("contract") == other.fingerprint("contract")


def test_a_function_that_is_not_there_is_said_with_the_yaml(tmp_path: Path) -> None:
    def said(folder: str, prepare: str = PREPARE, function: str = "prepare.py:words") -> str:
        with pytest.raises(TaskError) as refused:
            written(tmp_path / folder, prepare, preparation={"function": function, "columns": {"words": "int64"}})
        return str(refused.value.facts["found"])

    assert "preparation.function: there is no such function: prepare.py:wrods" in said("a", function="prepare.py:wrods")
    assert "there is no such function: prepare.py:words: SyntaxError" in said("b", "def words(:")
    assert "there is no such function: no.module:words" in said("c", function="no.module:words")


def test_target_and_weight_use_raw_columns_alone(tmp_path: Path) -> None:
    with pytest.raises(TaskError) as refused:
        written(tmp_path / "shop", training={"weight": "words"})
    assert "no column words" in str(refused.value.facts["found"])
