import hashlib
import logging
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_assets.errors import ContractError, PipelineError, StoreError
from pipeline_assets.stores.files.base import Area
from pipeline_assets.task.batch import BatchRef
from tests.fixtures.files import FilesPlace, settings_of, write


@pytest.fixture
def place(tmp_path: Path) -> FilesPlace:
    return FilesPlace(settings_of(str(tmp_path / "data"), tmp_path / "state", None), None)


@contextmanager
def nobody() -> Iterator[None]:
    """Root may read everything, so it steps back for a moment."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_folder_that_may_not_be_read_is_named(place: FilesPlace) -> None:
    place.put("shop/train/a.parquet")
    folder = Path(place.uri, "shop/train")
    folder.chmod(0)
    try:
        with nobody(), pytest.raises(StoreError, match=r"cannot be read(.|\n)*shop/train"):
            place.store.batches("shop", "train")
    finally:
        folder.chmod(0o700)


def test_a_link_that_leads_nowhere_is_no_batch(place: FilesPlace, tmp_path: Path) -> None:
    place.put("shop/train/a.parquet", b"x")
    Path(place.uri, "shop/train/b.parquet").symlink_to(tmp_path / "gone")
    Path(place.uri, "shop/train/loop.parquet").symlink_to("loop.parquet")
    Path(place.uri, "shop/train/c.parquet").symlink_to(Path(place.uri, "shop/train/a.parquet"))
    assert list(place.store.batches("shop", "train")) == ["a", "c"]


@given(st.text(st.characters(exclude_categories=())) | st.sampled_from(["..", "../..", "/", "a/../../b", "a\\..\\b"]))
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = FilesPlace(settings_of(f"{folder}/data", Path(folder, "state"), None), None)
        ref = BatchRef("shop", "predict", name)
        store = place.store
        try:
            write(store, 1, ref=ref)
        except ContractError:
            with pytest.raises(ContractError, match="the batch's name"):
                store.find(ref)
            with pytest.raises(ContractError, match="the batch's name"):
                store.read(Area.SCORES, ref)
            assert not Path(place.uri).exists()
        else:
            assert place.keys() == {f"shop/predictions/{name}.parquet"}
            place.put(f"shop/predict/{name}.parquet", b"x")
            assert store.batches("shop", "predict") == {name: store.find(ref)}


def test_a_file_whose_name_cannot_be_a_batch_does_not_hide_the_others(
    place: FilesPlace, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a\nb", "a...b", os.fsdecode(b"\xff"), "good"):
        place.put(f"shop/train/{name}.parquet", b"x")
    with caplog.at_level(logging.WARNING):
        assert list(place.store.batches("shop", "train")) == ["good"]
    assert len(caplog.messages) == 3


def test_a_local_batch_must_not_change_while_it_is_read(place: FilesPlace) -> None:
    place.put("shop/train/a.parquet", b"old")
    store = place.store
    with (
        pytest.raises(ContractError, match="changed since"),
        store.fetch(store.find(BatchRef("shop", "train", "a"))),
    ):
        place.put("shop/train/a.parquet", b"other")


def test_the_hash_of_a_part_is_never_taken_for_that_of_the_file(place: FilesPlace) -> None:
    content = os.urandom(20 << 20)
    place.put("shop/train/a.parquet", content)
    with place.store.fetch(place.store.find(BatchRef("shop", "train", "a"))) as fetched:
        pass
    with suppress(PipelineError):
        assert fetched.sha256 == hashlib.sha256(content).hexdigest()
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("sha256")]


def test_a_full_or_forbidden_disk_is_an_error_for_people(place: FilesPlace) -> None:
    place.put("shop/predictions", b"a file where a folder belongs")
    with pytest.raises(StoreError, match=r"cannot be written(.|\n)*2026-01\.parquet"):
        write(place.store, 1)
