from dataclasses import replace
from pathlib import Path

import pytest

from pipeline_assets.errors import ContractError, StoreError
from pipeline_assets.resources import file_store
from pipeline_assets.settings import Settings
from pipeline_assets.task.batch import BatchRef
from tests.fixtures.files import REF, FilesPlace, parquet


def put(place: FilesPlace, path: Path, content: bytes) -> bool:
    path.write_bytes(content)
    return place.store.put(REF, path)


def stored(place: FilesPlace) -> bytes:
    with place.store.fetch(place.store.find(REF)) as fetched:
        return fetched.paths[0].read_bytes()


def test_what_is_put_is_found_and_the_same_again_is_left_alone(files_place: FilesPlace, tmp_path: Path) -> None:
    path = tmp_path / "mine.parquet"
    assert put(files_place, path, parquet(3))
    first = files_place.store.find(REF)
    assert stored(files_place) == parquet(3)
    assert not put(files_place, path, parquet(3))
    assert files_place.store.find(REF) == first
    assert put(files_place, path, parquet(4))
    assert stored(files_place) == parquet(4)


def test_a_put_takes_the_place_of_anothers_file(files_place: FilesPlace, tmp_path: Path) -> None:
    files_place.put("shop/predict/2026-01.parquet", parquet(1))
    assert put(files_place, tmp_path / "mine.parquet", parquet(2))
    assert stored(files_place) == parquet(2)


def test_a_large_file_goes_by_parts(files_place: FilesPlace, tmp_path: Path) -> None:
    content = bytes(range(256)) * (1 << 17)  # 32 MB, two parts
    assert put(files_place, tmp_path / "large", content)
    assert stored(files_place) == content
    assert not put(files_place, tmp_path / "large", content)
    assert files_place.keys() == {"shop/predict/2026-01.parquet"}


def test_a_put_that_fails_leaves_the_former_file(files_place: FilesPlace, tmp_path: Path) -> None:
    put(files_place, tmp_path / "mine.parquet", parquet(1))
    with pytest.raises(FileNotFoundError):
        files_place.store.put(REF, tmp_path / "not there")
    assert stored(files_place) == parquet(1)
    with pytest.raises(ContractError):
        files_place.store.put(BatchRef("shop", "predict", "../out"), tmp_path / "mine.parquet")
    assert files_place.keys() == {"shop/predict/2026-01.parquet"}


@pytest.mark.parametrize("files_place", ["s3"], indirect=True)
def test_a_session_token_is_sent(files_place: FilesPlace) -> None:
    assert files_place.settings.s3 is not None
    sent = replace(files_place.settings, s3=replace(files_place.settings.s3, session_token="no such session"))
    with pytest.raises(StoreError) as refused:
        file_store(sent).batches("shop", "predict")
    assert "no such session" not in str(refused.value)


def test_a_session_token_goes_with_its_key_only() -> None:
    keys = {"AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "hidden"}
    given = {"DATA_URI": "s3://lake", "AWS_SESSION_TOKEN": "token"}
    with_key, without = Settings.from_env({**given, **keys}).s3, Settings.from_env(given).s3
    assert with_key is not None
    assert without is not None
    assert (with_key.session_token, without.session_token) == ("token", None)
    assert "token'" not in repr(with_key)
