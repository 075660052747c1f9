"""A file or folder outside the folders of tasks, on this machine or on S3."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline_assets.errors import ContractError
from pipeline_assets.resources import file_at
from pipeline_assets.settings import Settings
from pipeline_assets.stores.files.anywhere import FileAnywhere
from pipeline_assets.stores.files.s3_bucket import Bucket
from pipeline_assets.task.batch import BatchRef
from tests.fixtures.s3 import BUCKET, S3Server, fresh_uri

REF = BatchRef("shop", "train", "x")
TABLE = pa.table({"a": [1, 2, 3]})


def rows(file: FileAnywhere) -> int:
    found = file.find(REF)
    with file.fetch(found) as fetched, file.open(found) as paths:
        assert paths == fetched.paths
        return sum(pq.read_metadata(path).num_rows for path in paths)


@pytest.mark.parametrize("name", ["june.parquet", "june.pq", "[1]*.parquet", "июнь"])
def test_a_file_may_have_any_name(name: str, tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / name)
    file = FileAnywhere(str(tmp_path / name), None, tmp_path)
    assert rows(file) == 3
    assert file.batch == name.removesuffix(".parquet")


def test_a_path_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pq.write_table(TABLE, tmp_path / "june.parquet")
    assert rows(FileAnywhere("june.parquet", None, tmp_path)) == 3


def test_a_folder_has_its_part_files_in_order_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "june.parquet"
    folder.mkdir()
    for name in ("part-1.parquet", "part-0.parquet", "_hidden.parquet"):
        pq.write_table(TABLE, folder / name)
    (folder / "_SUCCESS").touch()
    file = FileAnywhere(f"{folder}/", None, tmp_path)
    with file.fetch(file.find(REF)) as fetched:
        assert [path.name for path in fetched.paths] == ["part-0.parquet", "part-1.parquet"]


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        (None, "there is no such file"),
        ("note.txt", "no parquet file"),
        ("day=1/part.parquet", "folders of their own"),
        ("_delta_log/0.json", "a Delta table"),
        ("_temporary/0", "still being written"),
    ],
)
def test_what_is_no_batch_is_refused(inside: str | None, said: str, tmp_path: Path) -> None:
    if inside is not None:
        (tmp_path / "june" / inside).parent.mkdir(parents=True)
        (tmp_path / "june" / inside).touch()
    with pytest.raises(ContractError, match=said):
        FileAnywhere(str(tmp_path / "june"), None, tmp_path).find(REF)


def test_on_s3_it_is_the_same(s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = s3_server.settings
    monkeypatch.setenv("AWS_ENDPOINT_URL", str(settings.endpoint))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", str(settings.access_key))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", str(settings.secret_key))
    monkeypatch.setenv("AWS_REGION", str(settings.region))
    pq.write_table(TABLE, tmp_path / "june.parquet")
    content, uri = (tmp_path / "june.parquet").read_bytes(), fresh_uri()
    bucket = Bucket(settings, BUCKET)
    for name in ("june.parquet", "june.parquet.old", "parts/1.parquet", "parts/0.parquet", "parts/_SUCCESS"):
        bucket.put(f"{uri.removeprefix(bucket.uri(''))}/{name}", content)
    local = Settings.from_env(root=tmp_path)
    assert rows(file_at(f"{uri}/june.parquet", local)) == 3
    assert rows(file_at(f"{uri}/parts/", local)) == 6
    with pytest.raises(ContractError, match="there is no such file"):
        file_at(f"{uri}/jun", local).find(REF)
