import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline_assets.errors import SettingsError, StoreError, TransientError
from pipeline_assets.resources import file_store
from pipeline_assets.stores.files.base import Area, FileStore
from pipeline_assets.stores.files.s3 import S3Files
from pipeline_assets.task.batch import BatchRef
from tests.fixtures import file_writers
from tests.fixtures.files import REF, FilesPlace, settings_of, values_in, write
from tests.fixtures.s3 import BUCKET, S3Server, fresh_uri, serve


@pytest.fixture
def place(s3_server: S3Server, tmp_path: Path) -> FilesPlace:
    return FilesPlace(settings_of(fresh_uri(), tmp_path / "state", s3_server.settings), s3_server)


def test_s3_is_listed_by_page(place: FilesPlace) -> None:
    names = [f"{number:05}" for number in range(1_050)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: place.put(f"shop/train/{name}.parquet"), names))
    assert list(place.store.batches("shop", "train")) == names


def test_an_s3_batch_is_read_as_it_was_fetched_and_copied_once(place: FilesPlace) -> None:
    place.put("shop/train/a.parquet", b"old")
    ref = BatchRef("shop", "train", "a")
    with place.store.fetch(place.store.find(ref)) as fetched:
        place.put("shop/train/a.parquet", b"other")
        assert fetched.paths[0].read_bytes() == b"old"
        before = fetched.paths[0].stat().st_ino
    place.put("shop/train/a.parquet", b"old")  # the same content has the same ETag
    with place.store.open(place.store.find(ref)) as paths:
        assert paths[0].stat().st_ino == before


def test_a_large_object_arrives_whole(place: FilesPlace) -> None:
    content = os.urandom(40 << 20)  # three ranges
    place.put("shop/train/a.parquet", content)
    with place.store.fetch(place.store.find(BatchRef("shop", "train", "a"))) as fetched:
        assert fetched.sha256 == hashlib.sha256(content).hexdigest()


# What S3 refuses


def s3_store(server: S3Server, tmp_path: Path, uri: str | None = None, **changes: str | None) -> FileStore:
    return file_store(settings_of(uri or fresh_uri(), tmp_path, replace(server.settings, **changes)))


def every_message(error: BaseException) -> str:
    chain: list[str] = []
    step: BaseException | None = error
    while step is not None:
        chain.append(f"{step} {step!r}")
        step = step.__cause__ or step.__context__
    return "\n".join(chain)


def test_a_missing_bucket_is_named(s3_server: S3Server, tmp_path: Path) -> None:
    store = s3_store(s3_server, tmp_path, "s3://no-such-bucket/data")
    for ask in (
        lambda: store.batches("shop", "train"),
        lambda: store.read(Area.OUTPUT, REF),
        lambda: write(store, 1),
        lambda: file_writers.write(settings_of(store.uri, tmp_path, s3_server.settings), 1),
    ):
        with pytest.raises(StoreError, match="there is no bucket no-such-bucket") as refused:
            ask()
        assert not isinstance(refused.value, TransientError)


@pytest.mark.parametrize("wrong", ["access_key", "secret_key"])
def test_wrong_credentials_are_not_shown(s3_server: S3Server, tmp_path: Path, wrong: str) -> None:
    store = s3_store(s3_server, tmp_path, **{wrong: "OpenSesame"})
    with pytest.raises(StoreError, match="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY") as refused:
        store.batches("shop", "train")
    assert not isinstance(refused.value, TransientError)
    assert "OpenSesame" not in every_message(refused.value)
    assert str(s3_server.settings.secret_key) not in every_message(refused.value)


def test_who_may_only_read_reads(s3_server: S3Server, tmp_path: Path) -> None:
    uri = fresh_uri()
    write(s3_store(s3_server, tmp_path, uri), 1)
    reader = file_store(settings_of(uri, tmp_path, s3_server.reader))
    assert values_in(reader) == [1]
    with pytest.raises(StoreError, match="does not let us write there"):
        write(reader, 2)
    assert values_in(reader) == [1]


def test_missing_credentials_are_asked_for(
    s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    store = s3_store(s3_server, tmp_path, access_key=None, secret_key=None)
    with pytest.raises(StoreError, match="set AWS_ACCESS_KEY_ID"):
        store.batches("shop", "train")


def test_a_server_that_is_not_there_may_come_back(s3_server: S3Server, tmp_path: Path) -> None:
    store = s3_store(s3_server, tmp_path, endpoint="http://127.0.0.1:1")
    with pytest.raises(TransientError, match=r"S3 does not answer(.|\n)*127\.0\.0\.1:1"):
        store.batches("shop", "train")


def test_a_login_in_the_endpoint_is_refused_unseen(s3_server: S3Server, tmp_path: Path) -> None:
    store = s3_store(s3_server, tmp_path, endpoint="http://login:OpenSesame@127.0.0.1:1")
    with pytest.raises(SettingsError, match="AWS_ENDPOINT_URL carries a login") as refused:
        store.batches("shop", "train")
    assert "OpenSesame" not in every_message(refused.value)


def test_a_server_that_dies_under_a_writer_leaves_the_former_file(tmp_path: Path) -> None:
    settings = settings_of(fresh_uri(), tmp_path / "state", None)

    def interrupted(server: S3Server, store: FileStore) -> None:
        with store.sink(Area.OUTPUT, REF, file_writers.SCHEMA) as sink:
            for number in range(file_writers.GROUPS):
                sink.write(file_writers.group(1, number))
            server.process.kill()

    (tmp_path / "s3").mkdir()
    with serve(tmp_path / "s3") as server:
        store = file_store(replace(settings, s3=server.settings))
        write(store, 1)
        with pytest.raises(TransientError, match="S3 does not answer"):
            interrupted(server, store)
        with pytest.raises(TransientError, match="S3 does not answer"):
            store.read(Area.OUTPUT, REF)
    with serve(tmp_path / "s3") as server:
        store = file_store(replace(settings, s3=server.settings))
        assert values_in(store) == [1]
        write(store, 2)
        assert values_in(store) == [2]


def test_an_endpoint_that_cannot_be_one_is_a_setting_to_correct(s3_server: S3Server, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="AWS_ENDPOINT_URL"):
        s3_store(s3_server, tmp_path, endpoint="storage:9000").batches("shop", "train")


def test_uploads_of_the_dead_are_collected_by_age(
    place: FilesPlace, s3_server: S3Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = place.uri.removeprefix(f"s3://{BUCKET}/") + "/shop/predictions/2026-01.parquet"
    for name in (key, f"{key}.other"):
        s3_server.client.create_multipart_upload(Bucket=BUCKET, Key=name)
    write(place.store, 1)
    uploads = {"upload of shop/predictions/2026-01.parquet", "upload of shop/predictions/2026-01.parquet.other"}
    assert uploads < place.keys()
    write(S3Files(place.uri, s3_server.settings, tmp_path, stale_after=timedelta(minutes=-1)), 1)
    assert place.keys() == {
        "shop/predictions/2026-01.parquet",
        "upload of shop/predictions/2026-01.parquet.other",
    }
    assert not caplog.records  # nothing was tried in vain
