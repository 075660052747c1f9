import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from pipeline_assets.errors import StoreError
from pipeline_assets.stores.files.download_cache import DownloadCache

KIB = 1024


def content(size: int) -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        (folder / "file").write_bytes(b"x" * size)

    return fill


def unwanted(_folder: Path) -> None:
    raise AssertionError("it was there already")


def use(cache_folder: DownloadCache, key: str, size: int = KIB, fill: Callable[[Path], None] | None = None) -> None:
    with cache_folder.copy(key, size, fill or content(size)) as folder:
        assert (folder / "file").stat().st_size == size


def kept(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_dir()}


def used_at(folder: Path, key: str, seconds: int) -> None:
    """Tells when a copy was used, which the clock of the file system is too coarse for."""
    os.utime(folder / key, (seconds, seconds))


def test_a_copy_is_made_once(tmp_path: Path) -> None:
    use(DownloadCache(tmp_path), "a")
    use(DownloadCache(tmp_path), "a", fill=unwanted)


def test_a_copy_that_could_not_be_made_leaves_nothing(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        content(10)(folder)
        raise ConnectionError("half-way")

    cache_folder = DownloadCache(tmp_path)
    with pytest.raises(ConnectionError, match="half-way"):
        use(cache_folder, "a", fill=fill)
    assert kept(tmp_path) == set()
    use(cache_folder, "a")


def test_the_least_recently_used_make_room(tmp_path: Path) -> None:
    cache_folder = DownloadCache(tmp_path, limit=3 * KIB)
    for second, key in enumerate("abc"):
        use(cache_folder, key)
        used_at(tmp_path, key, second)
    use(cache_folder, "a")
    use(cache_folder, "d")
    assert kept(tmp_path) == {"a", "c", "d"}
    use(cache_folder, "large", 100 * KIB)
    assert kept(tmp_path) == {"large"}


def test_a_copy_in_use_stays(tmp_path: Path) -> None:
    cache_folder = DownloadCache(tmp_path, limit=KIB)
    with cache_folder.copy("a", KIB, content(KIB)) as folder:
        use(DownloadCache(tmp_path, limit=KIB), "b")
        use(DownloadCache(tmp_path, limit=KIB), "c")
        assert kept(tmp_path) == {"a", "c"}
        assert (folder / "file").exists()
    use(cache_folder, "d")
    assert kept(tmp_path) == {"d"}


def test_a_copy_being_made_stays(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        use(DownloadCache(tmp_path, limit=0), "other")
        content(KIB)(folder)

    use(DownloadCache(tmp_path), "a", fill=fill)
    assert kept(tmp_path) == {"a", "other"}


def test_two_that_make_the_same_copy_at_once_share_one(tmp_path: Path) -> None:
    meeting = threading.Barrier(2)

    def fill(folder: Path) -> None:
        meeting.wait()
        content(KIB)(folder)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: use(DownloadCache(tmp_path), "a", fill=fill), range(2)))
    assert kept(tmp_path) == {"a"}


def _die(_folder: Path) -> None:
    os.kill(os.getpid(), 9)


def test_what_a_dead_process_began_goes_with_the_next_copy(tmp_path: Path) -> None:
    process = multiprocessing.get_context("forkserver").Process(
        target=use, args=(DownloadCache(tmp_path), "a", KIB, _die)
    )
    process.start()
    process.join()
    assert process.exitcode == -9
    assert len(kept(tmp_path)) == 1
    use(DownloadCache(tmp_path), "b")
    assert kept(tmp_path) == {"b"}


class Usage(NamedTuple):
    free: int


def test_a_disk_without_room_is_emptied_first_and_then_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(DownloadCache(tmp_path), "a")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10 * KIB))
    with pytest.raises(StoreError, match="PIPELINE_STATE"):
        use(DownloadCache(tmp_path), "b", 11 * KIB)
    assert kept(tmp_path) == set()
    use(DownloadCache(tmp_path), "b", 9 * KIB)
