"""What holds for every feature store."""

import datetime as dt
import math
import secrets
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline_assets.errors import DataError
from pipeline_assets.settings import TarantoolSettings
from pipeline_assets.stores.features.base import FeatureStore, FeatureTable, feature_table
from tests.examples import shop
from tests.fixtures.feature_writers import BATCH, Writer, content, step, store_at, table_of

ROWS = pa.schema(
    [
        pa.field("row_number", pa.int64(), nullable=False),
        pa.field("distance", pa.float64()),
        pa.field("carrier", pa.string(), nullable=False),
        pa.field("label", pa.int8()),
        pa.field("split_by", pa.date32()),
    ]
)


@pytest.fixture(params=["parquet", "tarantool"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> TarantoolSettings | Path:
    """Where a store keeps its rows."""
    if request.param == "parquet":
        return tmp_path / "features"
    settings: TarantoolSettings = request.getfixturevalue("tarantool_settings")
    return settings


@pytest.fixture
def store(place: TarantoolSettings | Path) -> FeatureStore:
    return store_at(place)


@pytest.fixture
def task() -> str:
    """A name that no other test has."""
    return f"task_{secrets.token_hex(4)}"


def rows(count: int, first: int = 0) -> pa.Table:
    numbers = range(first, first + count)
    return pa.table(
        {
            "row_number": list(numbers),
            "distance": [None if number % 7 == 0 else number / 3 for number in numbers],
            "carrier": [f"carrier {number % 11}" for number in numbers],
            "label": [None if number % 5 == 0 else number % 2 for number in numbers],
            "split_by": [dt.date(2013, 1, 1) + dt.timedelta(days=number % 365) for number in numbers],
        },
        ROWS,
    )


def train(task: str, schema: pa.Schema = ROWS) -> FeatureTable:
    return FeatureTable(task, "train", schema)


def test_rows_come_back_in_order_and_under_the_tables_schema(store: FeatureStore, task: str) -> None:
    written = rows(30_000)
    assert store.replace(train(task), BATCH, written.to_reader(max_chunksize=7_001)) == 30_000
    reader = store.read(train(task), BATCH)
    assert reader.schema == ROWS
    assert reader.read_all().equals(written)
    assert store.count(train(task), BATCH) == 30_000


def test_a_batch_that_is_forgotten_is_not_there_any_more(store: FeatureStore, task: str) -> None:
    assert not store.forget(train(task), BATCH)
    for batch in (BATCH, "other"):
        store.replace(train(task), batch, rows(10).to_reader())
    assert store.forget(train(task), BATCH)
    assert not store.forget(train(task), BATCH)
    assert store.count(train(task), BATCH) is None
    assert store.count(train(task), "other") == 10
    store.replace(train(task), BATCH, rows(20).to_reader())
    assert store.count(train(task), BATCH) == 20


def test_texts_that_may_come_as_dictionaries_are_the_same_texts(store: FeatureStore, task: str) -> None:
    written = rows(30_000)
    store.replace(train(task), BATCH, written.to_reader(max_chunksize=7_001))
    back = store.read(train(task), BATCH, coded=["carrier"]).read_all()
    assert back.schema.names == ROWS.names
    assert back.cast(ROWS).equals(written)


def test_a_feature_may_have_the_name_of_an_own_column(store: FeatureStore, task: str) -> None:
    named = ["pipeline_row_number", "row_number", "batch", "label", "split_by"]
    written = rows(50).rename_columns(named)
    schema = pa.schema([field.with_name(name) for field, name in zip(ROWS, named, strict=True)])
    store.replace(train(task, schema), BATCH, written.to_reader())
    assert store.read(train(task, schema), BATCH).read_all().equals(written)
    found = store.row(train(task, schema), BATCH, 7)
    assert found is not None
    assert found.to_pylist() == written.slice(7, 1).to_pylist()


def test_numbers_may_start_anywhere_and_leave_rows_out(store: FeatureStore, task: str) -> None:
    written = pa.concat_tables([rows(3, first=250), rows(4, first=70_000), rows(2, first=2**40)])
    store.replace(train(task), BATCH, written.to_reader())
    assert store.read(train(task), BATCH).read_all().equals(written)


def test_one_row_is_read_by_its_number(store: FeatureStore, task: str) -> None:
    written = pa.concat_tables([rows(300, first=100), rows(200_000, first=1_000)])
    store.replace(train(task), BATCH, written.to_reader())
    for number, at in ((100, 0), (399, 299), (1_000, 300), (123_880, 123_180), (200_999, 200_299)):
        found = store.row(train(task), BATCH, number)
        assert found is not None
        assert found.schema == ROWS
        assert found.to_pylist() == written.slice(at, 1).to_pylist()
    for number in (-1, 0, 99, 400, 999, 201_000):
        assert store.row(train(task), BATCH, number) is None
    with pytest.raises(DataError, match="not there"):
        store.row(train(task), "another", 0)
    # Some rows by their numbers, also where numbers are left out.
    for first, count, at, there in (
        (350, 700, 250, 100),
        (123_870, 20, 123_170, 20),
        (0, 100, 0, 0),
        (201_000, 5, 0, 0),
    ):
        some = store.rows(train(task), BATCH, first, count)
        assert some.schema == ROWS
        assert some.to_pylist() == written.slice(at, there).to_pylist()


def test_odd_values_come_back_as_they_were(store: FeatureStore, task: str) -> None:
    texts = ["", "a\0b", "Домодедово", "'\"\\N\t\r\n", "🛫" * 400, "null", "x" * 100_000]
    numbers = [math.nan, None, -0.0, math.inf, -math.inf, 5e-324, 2.0**60]
    schema = pa.schema([ROWS.field("row_number"), ROWS.field("distance"), ROWS.field("carrier")])
    written = pa.table([list(range(7)), numbers, texts], schema=schema)
    store.replace(train(task, schema), BATCH, written.to_reader())
    back = store.read(train(task, schema), BATCH).read_all()
    assert back["carrier"].to_pylist() == texts
    assert repr(back["distance"].to_pylist()) == repr(numbers)


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        (pa.int8(), [1, 0, None, 1]),
        (pa.string(), [">50K", "", None, "класс №1 🛫"]),
        (pa.float64(), [0.1, -0.0, None, 1.7976931348623157e308]),
    ],
    ids=["binary", "multiclass", "regression"],
)
def test_the_label_is_of_the_type_of_the_kind(
    store: FeatureStore, task: str, kind: pa.DataType, labels: list[object]
) -> None:
    place = ROWS.get_field_index("label")
    schema = ROWS.set(place, pa.field("label", kind))
    written = rows(4).set_column(place, schema.field("label"), [pa.array(labels, kind)])
    store.replace(train(task, schema), BATCH, written.to_reader())
    back = store.read(train(task, schema), BATCH).read_all()
    assert back.schema == schema
    assert repr(back["label"].to_pylist()) == repr(labels)
    found = store.row(train(task, schema), BATCH, 3)
    assert found is not None
    assert found["label"].to_pylist() == labels[3:]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (pa.timestamp("us"), dt.datetime.fromisoformat("2013-01-31 23:59:59.999999")),
        (pa.timestamp("us", "UTC"), dt.datetime(1969, 12, 31, 12, tzinfo=dt.UTC)),
        (pa.timestamp("ns"), 1_234_567_890_123_456_789),
        (pa.timestamp("ns", "UTC"), 1_234_567_890_123_456_789),
        (pa.time64("us"), dt.time(5, 15, 0, 1)),
        (pa.time64("ns"), 1_234_567_890_123),
        (pa.date32(), dt.date(1, 1, 1)),
        (pa.int8(), -128),
        (pa.uint32(), 2**32 - 1),
        (pa.decimal128(38, 38), Decimal("-1E-38")),
        (pa.decimal128(38, 0), Decimal("9" * 38)),
        (pa.int64(), -(2**63)),
        (pa.uint64(), 2**64 - 1),
        (pa.float32(), 0.1),
        (pa.bool_(), False),
        (pa.decimal128(12, 2), Decimal("1234567890.12")),
        (pa.string(), "2013-01"),
        (pa.binary(), b"\xff\0"),
    ],
    ids=str,
)
def test_what_orders_the_split_may_be_of_any_type(
    store: FeatureStore, task: str, kind: pa.DataType, value: object
) -> None:
    column = pa.array([value, None], kind)
    schema = pa.schema([ROWS.field("row_number"), pa.field("split_by", kind)])
    written = pa.table([[0, 1], column], schema=schema)
    store.replace(train(task, schema), BATCH, written.to_reader())
    assert store.read(train(task, schema), BATCH).read_all().equals(written)


def test_a_batch_written_again_is_the_new_one_alone(store: FeatureStore, task: str) -> None:
    store.replace(train(task), BATCH, rows(5_000).to_reader())
    store.replace(train(task), "2013-02", rows(10).to_reader())
    store.replace(train(task), BATCH, rows(300, first=100).to_reader())
    assert store.read(train(task), BATCH).read_all().equals(rows(300, first=100))
    assert store.count(train(task), BATCH) == 300
    assert store.read(train(task), "2013-02").read_all().equals(rows(10))


def test_stages_and_tasks_keep_apart(store: FeatureStore, task: str) -> None:
    tables = [train(task), FeatureTable(task, "predict", ROWS), train(f"{task}_more")]
    for count, table in enumerate(tables, start=1):
        store.replace(table, BATCH, rows(count).to_reader())
    assert [store.count(table, BATCH) for table in tables] == [1, 2, 3]


def test_a_batch_without_rows_is_there(store: FeatureStore, task: str) -> None:
    assert store.replace(train(task), BATCH, rows(0).to_reader()) == 0
    assert store.count(train(task), BATCH) == 0
    assert store.read(train(task), BATCH).read_all().equals(rows(0))


def test_a_batch_that_is_not_there_names_what_makes_it(store: FeatureStore, task: str) -> None:
    for _ in ("nothing of the task", "another batch of it"):
        assert store.count(train(task), BATCH) is None
        with pytest.raises(DataError, match=f"materialise {task}/train_features"):
            store.read(train(task), BATCH)
        store.replace(train(task), "2013-02", rows(1).to_reader())


FINGERPRINTS = {"contract": "c1", "features": "f1"}


def test_a_batch_prepared_under_another_description_is_refused_with_what_to_run(store: FeatureStore, task: str) -> None:
    made = replace(train(task), fingerprints=FINGERPRINTS)
    now = replace(made, fingerprints={**FINGERPRINTS, "features": "f2"})
    store.replace(made, BATCH, rows(10).to_reader())
    assert store.read(made, BATCH).read_all() == rows(10)
    again = rf"do: +materialise {task}/train_features for this batch again"
    said = rf"(?s)under another features.*found: +fingerprint of features: f1.*expected: +f2.*{again}"
    with pytest.raises(DataError, match=said):
        store.read(now, BATCH)
    with pytest.raises(DataError, match=said):
        store.row(now, BATCH, 3)
    assert store.count(now, BATCH) == 10
    store.replace(now, BATCH, rows(10).to_reader())
    assert store.read(now, BATCH).read_all() == rows(10)


def test_a_batch_without_fingerprints_is_refused_by_who_demands_some(store: FeatureStore, task: str) -> None:
    bare = train(task)
    store.replace(bare, BATCH, rows(10).to_reader())
    assert store.read(bare, BATCH).read_all() == rows(10)
    with pytest.raises(DataError, match=r"(?s)do not say which contract.*found: +no fingerprint.*expected:.*c1.*again"):
        store.read(replace(bare, fingerprints=FINGERPRINTS), BATCH)


def test_progress_ends_at_the_rows_written(store: FeatureStore, task: str) -> None:
    seen: list[int] = []
    store.replace(train(task), BATCH, rows(50_000).to_reader(max_chunksize=9_000), seen.append)
    assert seen == sorted(set(seen))
    assert seen[-1] == 50_000
    assert len(seen) > 1


def test_a_stream_that_breaks_leaves_the_former_batch_and_its_own_error(store: FeatureStore, task: str) -> None:
    class BrokenError(Exception):
        pass

    def breaking() -> Iterator[pa.RecordBatch]:
        yield from rows(40_000).to_batches(max_chunksize=10_000)
        raise BrokenError("half-way")

    former = rows(100)
    store.replace(train(task), BATCH, former.to_reader())
    with pytest.raises(BrokenError, match="half-way"):
        store.replace(train(task), BATCH, pa.RecordBatchReader.from_batches(ROWS, breaking()))
    assert store.read(train(task), BATCH).read_all().equals(former)


@pytest.mark.parametrize(
    "wrong",
    [
        rows(3).drop_columns("label"),
        rows(3).rename_columns(["row_number", "distance", "carriers", "label", "split_by"]),
        rows(3).set_column(1, "distance", pa.array(["far"] * 3)),
        rows(3).set_column(2, "carrier", pa.array(["AA", None, "UA"])),
        pa.concat_tables([rows(2), rows(2)]),
        pa.concat_tables([rows(2, first=5), rows(2)]),
    ],
    ids=["no label", "a name", "a type", "a null", "twice", "backwards"],
)
def test_rows_that_do_not_fit_change_nothing(store: FeatureStore, task: str, wrong: pa.Table) -> None:
    store.replace(train(task), BATCH, rows(10).to_reader())
    with pytest.raises(DataError):
        store.replace(train(task), BATCH, wrong.to_reader(max_chunksize=2))
    assert store.read(train(task), BATCH).read_all().equals(rows(10))


def test_a_column_that_came_since_is_named_when_an_old_batch_is_read(store: FeatureStore, task: str) -> None:
    store.replace(train(task), BATCH, rows(10).to_reader())
    grown = train(task, ROWS.append(pa.field("weather", pa.float64())))
    with pytest.raises(DataError, match=r"weather: not there(.|\n)*weather: double") as error:
        store.read(grown, BATCH)
    assert f"materialise {task}/train_features" in str(error.value)
    new = rows(5).append_column("weather", pa.array([1.0, None, 2.0, 3.0, 4.0]))
    store.replace(grown, "2013-02", new.to_reader())
    assert store.read(grown, "2013-02").read_all().equals(new)
    # The task may also go back.
    assert store.read(train(task), "2013-02").read_all().equals(rows(5))
    store.replace(train(task), "2013-03", rows(6).to_reader())
    assert store.read(train(task), "2013-03").read_all().equals(rows(6))


def test_columns_are_found_by_name_whatever_their_order(store: FeatureStore, task: str) -> None:
    store.replace(train(task), BATCH, rows(10).to_reader())
    names = ["row_number", "split_by", "carrier", "distance", "label"]
    turned = train(task, pa.schema([ROWS.field(name) for name in names]))
    assert store.read(turned, BATCH).read_all().equals(rows(10).select(names))
    store.replace(turned, BATCH, rows(20).select(names).to_reader())
    assert store.read(train(task), BATCH).read_all().equals(rows(20))


def test_a_reader_that_is_let_go_half_way_leaves_nothing_behind(store: FeatureStore, task: str) -> None:
    store.replace(train(task), BATCH, rows(50_000).to_reader())
    reader = store.read(train(task), BATCH)
    reader.read_next_batch()
    del reader
    store.read(train(task), BATCH)  # never read at all
    assert store.replace(train(task), BATCH, rows(10).to_reader()) == 10


def test_odd_names_of_batches_are_names(store: FeatureStore, task: str) -> None:
    for count, batch in enumerate(["рейсы 2013", "a b%20'c\"", "2013-01"], start=1):
        store.replace(train(task), batch, rows(count).to_reader())
        assert store.read(train(task), batch).read_all().equals(rows(count))


def test_the_uri_says_which_batch_and_no_secret(
    store: FeatureStore, place: TarantoolSettings | Path, task: str
) -> None:
    uri = store.uri(train(task), BATCH)
    assert BATCH in uri
    if isinstance(place, TarantoolSettings):
        assert uri == f"tarantool://{place.host}:{place.port}/{task.upper()}_TRAIN_FEATURES?batch=2013-01"
        assert place.password not in uri


STEPS = 4
POINTS = ["start", *(f"step {number}" for number in range(STEPS)), "end"]


@pytest.mark.parametrize("point", POINTS)
def test_a_writer_killed_anywhere_leaves_the_former_batch_and_the_next_run_heals(
    place: TarantoolSettings | Path, store: FeatureStore, task: str, point: str
) -> None:
    former = pa.Table.from_batches([step(task, "former", 0)])
    store.replace(table_of(task), BATCH, former.to_reader())
    writer = Writer(place, task, "killed", STEPS)
    writer.reach(point)
    writer.kill()
    assert store.read(table_of(task), BATCH).read_all().equals(former)
    again = content(task, "again", STEPS)
    store.replace(table_of(task), BATCH, again.to_reader())
    assert store.read(table_of(task), BATCH).read_all().equals(again)


def test_a_writer_killed_in_full_run_leaves_a_whole_batch(
    place: TarantoolSettings | Path, store: FeatureStore, task: str
) -> None:
    former, new = content(task, "former", 1), content(task, "killed", STEPS)
    for point in POINTS:
        store.replace(table_of(task), BATCH, former.to_reader())
        writer = Writer(place, task, "killed", STEPS)
        writer.reach(point)
        writer.go()
        writer.kill()
        found = store.read(table_of(task), BATCH).read_all()
        assert found.equals(former) or (found.equals(new) and point == "end")


@pytest.mark.parametrize("first_to_end", [0, 1])
def test_two_runs_of_one_batch_end_as_one_of_them(
    place: TarantoolSettings | Path, store: FeatureStore, task: str, first_to_end: int
) -> None:
    writers = [Writer(place, task, f"writer {number}", STEPS) for number in range(2)]
    for point in POINTS[1:]:
        for writer in writers:
            writer.reach(point)
    assert store.count(table_of(task), BATCH) is None
    assert writers[first_to_end].finish() == content(task, "", STEPS).num_rows
    assert store.read(table_of(task), BATCH).read_all().equals(content(task, f"writer {first_to_end}", STEPS))
    last = 1 - first_to_end
    assert writers[last].finish() == content(task, "", STEPS).num_rows
    assert store.read(table_of(task), BATCH).read_all().equals(content(task, f"writer {last}", STEPS))


def test_two_runs_at_full_speed_end_as_one_of_them(
    place: TarantoolSettings | Path, store: FeatureStore, task: str
) -> None:
    writers = [Writer(place, task, f"writer {number}", STEPS) for number in range(2)]
    wholes = [content(task, f"writer {number}", STEPS) for number in range(2)]
    for writer in writers:
        writer.reach("start")
    for writer in writers:
        writer.go(len(POINTS))
    for writer in writers:
        assert writer.end() == wholes[0].num_rows
    found = store.read(table_of(task), BATCH).read_all()
    assert any(found.equals(whole) for whole in wholes)


def test_a_reader_gets_one_batch_whole_whatever_is_written_meanwhile(store: FeatureStore, task: str) -> None:
    former = rows(60_000)
    store.replace(train(task), BATCH, former.to_reader())
    reader = store.read(train(task), BATCH)
    first = reader.read_next_batch()
    for count in (10, 20):
        store.replace(train(task), BATCH, rows(count).to_reader())
    rest = reader.read_all()
    assert pa.concat_tables([pa.Table.from_batches([first]), rest]).equals(former)
    assert store.count(train(task), BATCH) == 20


def test_rows_of_other_weights_or_of_none_are_prepared_again(store: FeatureStore, task: str) -> None:
    def table_with(weight: str | None) -> FeatureTable:
        one = shop(features={"numeric": {"price": "price"}}, training={} if weight is None else {"weight": weight})
        return replace(feature_table(one, "train"), task=task)

    made = table_with("price * 2")
    values = {"price": [1.0, None], "label": [1, None], "__split_hash": [5, 6], "weight": [2.0, 0.0]}
    written = pa.table({"row_number": [0, 1], **values}, made.schema)
    store.replace(made, BATCH, written.to_reader())
    assert store.read(made, BATCH).read_all().equals(written)
    with pytest.raises(DataError, match="under another weight than the task has now"):
        store.read(table_with("price * 3"), BATCH)
    plain = table_with(None)
    assert store.read(plain, BATCH).read_all().equals(written.drop_columns("weight"))
    store.replace(plain, BATCH, written.drop_columns("weight").to_reader())
    with pytest.raises(DataError, match="another set of columns"):
        store.read(made, BATCH)
