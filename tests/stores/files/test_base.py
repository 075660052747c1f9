import hashlib
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pyarrow as pa
import pytest

from pipeline_assets.errors import ContractError, DataError, TransientError
from pipeline_assets.resources import file_store
from pipeline_assets.stores.files.base import Area, FileStore, Found
from pipeline_assets.stores.files.parquet_file import ROWS_PER_GROUP
from pipeline_assets.stores.files.s3 import S3Files
from pipeline_assets.task.batch import BatchRef
from tests.fixtures import file_writers
from tests.fixtures.file_writers import SCHEMA, Death
from tests.fixtures.files import NUMBERS, REF, FilesPlace, numbers, parquet, values_in, write

ODD_NAMES = [
    "with space",
    "Октябрь 2013",
    'it\'s "quoted"',
    "semi;colon",
    "v1.2..3",
    "100%25+&?#",
    "[a]*{b}",
    "~!@$^()|`,=:<>",
    "я" * 120,
    "😀",
    "2013.parquet",
]


# Listing


def test_a_store_without_files_has_no_batches(files_place: FilesPlace) -> None:
    assert files_place.store.batches("shop", "train") == {}


def test_files_and_folders_are_batches_in_the_order_of_names(files_place: FilesPlace) -> None:
    for key in (
        "shop/predict/b.parquet",
        "shop/predict/a/part-1.parquet",
        "shop/predict/a/part-0.parquet",
        "shop/predict/a/_SUCCESS",
        "shop/predict/a/.part-0.parquet.crc",
        "shop/predict/a/_metadata.parquet",
        "shop/predict/a/notes.txt",
        "shop/predict/spark.parquet/part-0.parquet",
        "shop/predict/readme.md",
        "shop/predict/_hidden.parquet",
        "shop/predict/.hidden.parquet",
        "shop/predict/a b/part-0.parquet",
        "shop/train/other.parquet",
        "shopping/predict/other.parquet",
    ):
        files_place.put(key, b"x")
    folder = f"{files_place.uri}/shop/predict"
    found = files_place.store.batches("shop", "predict")
    assert {batch: (files.uri, [part.uri for part in files.parts]) for batch, files in found.items()} == {
        "a": (f"{folder}/a/", [f"{folder}/a/part-0.parquet", f"{folder}/a/part-1.parquet"]),
        "a b": (f"{folder}/a b/", [f"{folder}/a b/part-0.parquet"]),
        "b": (f"{folder}/b.parquet", [f"{folder}/b.parquet"]),
        "spark": (f"{folder}/spark.parquet/", [f"{folder}/spark.parquet/part-0.parquet"]),
    }
    assert list(found) == ["a", "a b", "b", "spark"]
    assert {part.size for files in found.values() for part in files.parts} == {1}
    for batch, files in found.items():
        assert files_place.store.find(BatchRef("shop", "predict", batch)) == files


def test_an_empty_file_is_a_batch(files_place: FilesPlace) -> None:
    files_place.put("shop/train/empty.parquet")
    files_place.put("shop/train/.keep")
    (part,) = files_place.store.batches("shop", "train")["empty"].parts
    assert part.size == 0


def test_a_folder_that_is_being_written_is_no_batch_yet(files_place: FilesPlace) -> None:
    files_place.put("shop/train/a/part-0.parquet", b"x")
    files_place.put("shop/train/a/_temporary/0/part-1.parquet", b"x")
    files_place.put("shop/train/b/part-0.parquet", b"x")
    files_place.put("shop/train/b/_temporary/")
    assert files_place.store.batches("shop", "train") == {}
    for batch in "ab":
        with pytest.raises(ContractError, match="still being written"):
            files_place.store.find(BatchRef("shop", "train", batch))


def test_what_stands_in_the_way_of_a_batch_is_said_when_it_is_looked_for(files_place: FilesPlace) -> None:
    for key in (
        "twice.parquet",
        "twice/part-0.parquet",
        "hive/month=1/part-0.parquet",
        "delta/part-0.parquet",
        "delta/_delta_log/0.json",
        "empty/readme.md",
    ):
        files_place.put(f"shop/train/{key}", b"x")
    for batch, message in (
        ("twice", r"two things(.|\n)*twice.parquet and .*twice/"),
        ("hive", r"columns in those folders' names would be lost(.|\n)*month=1/part-0.parquet"),
        ("delta", "Delta table"),
        ("empty", "holds no parquet file"),
    ):
        with pytest.raises(ContractError, match=message) as refused:
            files_place.store.find(BatchRef("shop", "train", batch))
        assert refused.value.facts["batch"] == batch
    # Their runs say so too, so they are listed; a folder without data may still be filled.
    assert list(files_place.store.batches("shop", "train")) == ["delta", "hive", "twice"]


def test_an_empty_folder_beside_a_file_is_no_rival(files_place: FilesPlace) -> None:
    files_place.put("shop/train/a/")
    files_place.put("shop/train/a.parquet", b"x")
    found = files_place.store.find(BatchRef("shop", "train", "a"))
    assert found.uri == f"{files_place.uri}/shop/train/a.parquet"
    assert files_place.store.batches("shop", "train") == {"a": found}


def test_a_batch_that_is_not_there_is_told_from_those_that_are(files_place: FilesPlace) -> None:
    for month in range(1, 10):
        files_place.put(f"shop/train/2013-0{month}.parquet", b"x")
    with pytest.raises(ContractError, match=r"no such batch; did you mean 2013-01\?") as missing:
        files_place.store.find(BatchRef("shop", "train", "2013-011"))
    assert f"{files_place.uri}/shop/train/2013-011.parquet" in str(missing.value)
    assert "2013-09" in str(missing.value)


def test_of_many_batches_an_error_names_the_latest(files_place: FilesPlace) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda day: files_place.put(f"shop/train/day-{day:04}.parquet"), range(1, 31)))
    with pytest.raises(ContractError) as missing:
        files_place.store.find(BatchRef("shop", "train", "none"))
    assert missing.value.facts["available"] == ["10 earlier ones", *(f"day-{day:04}" for day in range(11, 31))]


# Names


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_work_everywhere(files_place: FilesPlace, name: str) -> None:
    ref = BatchRef("shop", "predict", name)
    files_place.put(f"shop/predict/{name}.parquet", parquet(3))
    store = files_place.store
    found = store.find(ref)
    assert store.batches("shop", "predict") == {name: found}
    with store.fetch(found) as fetched:
        assert [path.read_bytes() for path in fetched.paths] == [parquet(3)]
    for area in Area:
        write(store, 1, area=area, ref=ref)
        assert values_in(store, area, ref) == [1]
    assert files_place.keys() == {
        f"shop/{folder}/{name}.parquet"
        for folder in ("predict", "predictions", "rejected/predict", "replayed/predict", "scores")
    }


# Fetching


def test_a_file_is_fetched_with_its_hash(files_place: FilesPlace) -> None:
    content = os.urandom(100_000)
    files_place.put("shop/train/a.parquet", content)
    store = files_place.store
    found = store.find(BatchRef("shop", "train", "a"))
    with store.fetch(found) as fetched:
        (path,) = fetched.paths
        assert path.read_bytes() == content
        assert fetched.sha256 == hashlib.sha256(content).hexdigest()
    with store.open(found) as paths:
        assert paths == fetched.paths


def test_a_folder_is_fetched_in_the_order_of_names(files_place: FilesPlace) -> None:
    parts = {f"part-{number}.parquet": os.urandom(1000 * number) for number in (2, 0, 1)}
    for name, content in parts.items():
        files_place.put(f"shop/train/a/{name}", content)
    store = files_place.store
    found = store.find(BatchRef("shop", "train", "a"))
    with store.fetch(found) as fetched:
        assert [path.name for path in fetched.paths] == sorted(parts)
        assert [path.read_bytes() for path in fetched.paths] == [parts[name] for name in sorted(parts)]
        lines = "".join(f"{name} {hashlib.sha256(parts[name]).hexdigest()}\n" for name in sorted(parts))
        assert fetched.sha256 == hashlib.sha256(lines.encode()).hexdigest()


def test_a_folder_of_one_part_is_not_its_part(files_place: FilesPlace) -> None:
    files_place.put("shop/train/a/part-0.parquet", b"x")
    with files_place.store.fetch(files_place.store.find(BatchRef("shop", "train", "a"))) as fetched:
        assert fetched.sha256 != hashlib.sha256(b"x").hexdigest()


@pytest.mark.parametrize("change", ["written again", "gone", "another part"])
def test_a_batch_that_changed_since_it_was_found_is_refused(files_place: FilesPlace, change: str) -> None:
    files_place.put("shop/train/a/part-0.parquet", b"old")
    store = files_place.store
    found = store.find(BatchRef("shop", "train", "a"))
    with store.open(found):
        pass
    if change == "written again":
        files_place.put("shop/train/a/part-0.parquet", b"other")
    elif change == "gone":
        files_place.remove("shop/train/a/part-0.parquet")
    else:
        files_place.put("shop/train/a/part-1.parquet", b"more")
    for reach in (store.fetch, store.open):
        with pytest.raises(ContractError, match="changed since") as changed, reach(found):
            pass
        assert "materialise shop/train_raw" in str(changed.value)


def test_a_row_is_read_off_the_part_that_has_it(files_place: FilesPlace) -> None:
    files_place.put("shop/predict/2026-01.parquet", parquet(300_000))
    (part,) = files_place.store.find(REF).parts
    stored = files_place.store.part(part)
    assert stored.rows == 300_000
    assert [batch.to_pylist() for at in (0, 8_192, 299_999) if (batch := stored.row(at))] == [
        [{"x": 0}], [{"x": 8_192}], [{"x": 299_999}]
    ]  # fmt: skip
    assert stored.row(300_000) is None
    assert stored.row(-1) is None


@pytest.mark.parametrize("change", ["written again", "gone"])
def test_a_part_that_changed_since_it_was_found_is_refused(files_place: FilesPlace, change: str) -> None:
    files_place.put("shop/predict/2026-01.parquet", parquet(3))
    (part,) = files_place.store.find(REF).parts
    files_place.remove("shop/predict/2026-01.parquet")
    if change == "written again":
        files_place.put("shop/predict/2026-01.parquet", parquet(4))
    with pytest.raises(ContractError, match="changed since it was found"):
        files_place.store.part(part)


def test_a_row_is_found_by_a_value(files_place: FilesPlace) -> None:
    with files_place.store.sink(Area.OUTPUT, REF, NUMBERS) as sink:
        for start in range(0, 400_000, 100_000):
            sink.write(numbers(*range(start, start + 100_000, 2)))
    stored = files_place.store.read(Area.OUTPUT, REF)
    assert stored is not None
    for value in (0, 245_758, 245_760, 399_998):
        found = stored.find("x", value)
        assert found is not None
        assert found.to_pylist() == [{"x": value}]
    assert [stored.find("x", value) for value in (-1, 1, 245_759, 400_000)] == [None] * 4


def test_a_batch_of_another_place_is_refused(files_place: FilesPlace) -> None:
    elsewhere = Found("/elsewhere/shop/train/a.parquet", ())
    with pytest.raises(ContractError, match="another place"), files_place.store.open(elsewhere):
        pass


# Writing and reading back


def test_what_is_written_comes_back(files_place: FilesPlace) -> None:
    store = files_place.store
    metadata = {"task": "shop", "заметка": 'строка\n"{}"', "empty": ""}
    schema = pa.schema([("name", pa.string()), ("x", pa.int64())], metadata={"pandas": "of another file"})
    with store.sink(Area.OUTPUT, REF, schema) as sink:
        sink.metadata["task"] = "wrong"
        for start in range(0, 2 * ROWS_PER_GROUP + 5, 50_000):
            values = range(start, min(start + 50_000, 2 * ROWS_PER_GROUP + 5))
            sink.write(pa.record_batch([pa.array([f"n{value}" for value in values]), pa.array(values)], schema=schema))
        sink.metadata.update(metadata)
    stored = store.read(Area.OUTPUT, REF)
    assert stored is not None
    assert stored.uri == store.uri_of(Area.OUTPUT, REF) == f"{files_place.uri}/shop/predictions/2026-01.parquet"
    assert stored.metadata == metadata
    assert stored.rows == sink.rows == 2 * ROWS_PER_GROUP + 5
    assert stored.schema == schema
    assert stored.schema.metadata is None
    assert stored.batches(["x"]).read_all()["x"].to_pylist() == list(range(stored.rows))
    turned = stored.batches(["x", "name"]).read_all()
    assert turned.slice(7, 1).to_pylist() == [{"x": 7, "name": "n7"}]
    assert turned.column_names == ["x", "name"]
    assert stored.batches().read_all().num_columns == 2
    with pytest.raises(DataError, match=r"did you mean: name\?"):
        stored.batches(["nane"])


def test_a_file_without_rows_has_its_columns(files_place: FilesPlace) -> None:
    with files_place.store.sink(Area.REJECTED, REF, NUMBERS) as sink:
        sink.metadata["count"] = "0"
    stored = files_place.store.read(Area.REJECTED, REF)
    assert stored is not None
    assert (stored.rows, stored.schema, stored.metadata) == (0, NUMBERS, {"count": "0"})
    assert stored.batches().read_all().num_rows == 0


def test_a_file_that_was_never_written_is_none(files_place: FilesPlace) -> None:
    assert files_place.store.read(Area.OUTPUT, REF) is None


def test_areas_and_stages_do_not_meet(files_place: FilesPlace) -> None:
    store = files_place.store
    train = replace(REF, stage="train")
    write(store, 1, area=Area.OUTPUT)
    write(store, 2, area=Area.SCORES)
    write(store, 3, area=Area.REJECTED)
    write(store, 4, area=Area.REJECTED, ref=train)
    assert values_in(store, Area.OUTPUT) == [1]
    assert values_in(store, Area.SCORES) == [2]
    assert values_in(store, Area.REJECTED) == [3]
    assert values_in(store, Area.REJECTED, train) == [4]


@pytest.mark.parametrize("content", [b"", b"no parquet", b"PAR1" + b"\0" * 100])
def test_a_damaged_file_is_named(files_place: FilesPlace, content: bytes) -> None:
    files_place.put("shop/scores/2026-01.parquet", content)
    with pytest.raises(DataError, match=r"shop/scores/2026-01\.parquet"):
        files_place.store.read(Area.SCORES, REF)


def test_an_error_half_way_changes_nothing_and_comes_through(files_place: FilesPlace) -> None:
    store = files_place.store
    write(store, 1)

    class StreamError(Exception):
        pass

    def stream() -> Iterator[pa.RecordBatch]:
        for number in range(file_writers.GROUPS):
            yield file_writers.group(1, number)
        raise original

    def copy() -> None:
        with store.sink(Area.OUTPUT, REF, SCHEMA) as sink:
            for rows in pa.RecordBatchReader.from_batches(SCHEMA, stream()):
                sink.write(rows)

    original = StreamError("half-way")
    with pytest.raises(StreamError) as raised:
        copy()
    assert raised.value is original
    assert values_in(store) == [1]
    assert files_place.keys() == {"shop/predictions/2026-01.parquet"}


def test_a_reader_keeps_what_it_opened_or_fails_passingly(files_place: FilesPlace) -> None:
    store = files_place.store
    file_writers.write(files_place.settings, 1)
    stored = store.read(Area.OUTPUT, REF)
    assert stored is not None
    file_writers.write(files_place.settings, 2)
    if files_place.server is None:
        assert set(stored.batches(["writer"]).read_all()["writer"].to_pylist()) == {1}
    else:
        with pytest.raises(TransientError, match="replaced while it was being read"):
            stored.batches().read_all()


@pytest.mark.parametrize("death", ["first", "middle", "before commit", "after commit"])
def test_a_killed_writer_leaves_the_former_file_or_the_new_one(files_place: FilesPlace, death: Death) -> None:
    write(files_place.store, 1)
    file_writers.killed_at(files_place.settings, 7, death)
    # An upload begins with its first part, a local file at once; both end with the commit.
    begun = death in ("middle", "before commit") or (death == "first" and files_place.server is None)
    assert len(files_place.keys()) == 1 + begun
    stored = files_place.store.read(Area.OUTPUT, REF)
    assert stored is not None
    if death == "after commit":
        assert (
            stored.batches()
            .read_all()
            .equals(pa.Table.from_batches([file_writers.group(7, number) for number in range(file_writers.GROUPS)]))
        )
    else:
        assert values_in(files_place.store) == [1]
    assert list(files_place.store.batches("shop", "predict")) == []
    if files_place.settings.s3 is not None:  # there only age tells the dead, and no test waits for a day
        healing: FileStore = S3Files(
            files_place.uri, files_place.settings.s3, files_place.settings.state, stale_after=timedelta(minutes=-1)
        )
    else:
        healing = files_place.store
    write(healing, 2)
    assert values_in(healing) == [2]
    assert files_place.keys() == {"shop/predictions/2026-01.parquet"}


def test_a_living_writer_is_not_taken_for_a_dead_one(files_place: FilesPlace) -> None:
    with files_place.store.sink(Area.OUTPUT, REF, SCHEMA) as slow:
        for number in range(file_writers.GROUPS):
            slow.write(file_writers.group(1, number))
        write(files_place.store, 2)
        assert values_in(files_place.store) == [2]
    stored = files_place.store.read(Area.OUTPUT, REF)
    assert stored is not None
    assert stored.rows == file_writers.GROUPS * ROWS_PER_GROUP
    assert files_place.keys() == {"shop/predictions/2026-01.parquet"}


def test_writers_of_one_file_at_once_end_as_one_of_them(files_place: FilesPlace) -> None:
    writers = 4
    meeting = threading.Barrier(writers)

    def run(writer: int) -> None:
        meeting.wait()
        with file_store(files_place.settings).sink(Area.OUTPUT, REF, NUMBERS) as sink:
            sink.metadata["writer"] = str(writer)
            sink.write(numbers(*[writer] * 1000))
            meeting.wait()

    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(run, range(writers)))
    stored = files_place.store.read(Area.OUTPUT, REF)
    assert stored is not None
    assert stored.batches().read_all()["x"].to_pylist() == [int(stored.metadata["writer"])] * 1000
    assert files_place.keys() == {"shop/predictions/2026-01.parquet"}


def test_a_file_of_the_pipeline_is_forgotten_and_no_other(files_place: FilesPlace) -> None:
    files = files_place.store
    assert not files.forget(Area.SCORES, REF)
    other = replace(REF, batch=f"{REF.batch}-2")
    for area, ref in ((Area.SCORES, REF), (Area.OUTPUT, REF), (Area.SCORES, other)):
        write(files, 1, area=area, ref=ref)
    assert files.forget(Area.SCORES, REF)
    assert not files.holds(Area.SCORES, REF)
    assert files.holds(Area.OUTPUT, REF)
    assert files.holds(Area.SCORES, other)
