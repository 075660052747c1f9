import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_assets.errors import PipelineError, StoreError
from pipeline_assets.io_managers.alongside import Alongside
from pipeline_assets.stores.load import Piece

NUMBERS = pa.schema([("number", pa.int64())])
TEXTS = pa.schema([("text", pa.string())])
Pair = tuple[pa.RecordBatch, pa.RecordBatch]


def pairs(sizes: list[int]) -> Iterator[Pair]:
    start = 0
    for size in sizes:
        numbers = range(start, start + size)
        yield (
            pa.RecordBatch.from_pydict({"number": numbers}, NUMBERS),
            pa.RecordBatch.from_pydict({"text": [str(number) for number in numbers]}, TEXTS),
        )
        start += size


@dataclass
class Table:
    """A store of one batch, and its own load: the rows are there once they are committed."""

    rows: list[str] | None = None
    pieces: int = 1
    abandoned: int = 0
    look: Callable[[pa.RecordBatch], None] = lambda _: None
    staged: list[str] = field(default_factory=list)

    def begin(self) -> "Table":
        return self

    def write(self, piece: Piece, rows: pa.RecordBatchReader, progress: Callable[[int], None] | None = None) -> int:
        assert piece == Piece(0, 1)
        assert progress is None
        for batch in rows:
            self.look(batch)
            self.staged += batch.column(0).to_pylist()
        return len(self.staged)

    def commit(self) -> int:
        self.rows = self.staged
        return len(self.rows)

    def abandon(self) -> None:
        self.abandoned += 1
        self.staged = []


def beside(rows: Iterator[Pair], table: Table) -> Alongside:
    return Alongside(rows, (NUMBERS, TEXTS), table.begin)


def refuse(_: object) -> None:
    raise StoreError("the disk is full")


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("alongside")]


@given(sizes=st.lists(st.integers(0, 5), max_size=20))
def test_both_stores_get_the_same_rows(sizes: list[int]) -> None:
    table = Table()
    both = beside(pairs(sizes), table)
    with both.first() as rows:
        ahead = rows.read_all()["number"].to_pylist()
    assert table.rows is None
    assert both.commit() == sum(sizes)
    assert ahead == list(range(sum(sizes)))
    assert table.rows == list(map(str, ahead))
    both.abandon()
    assert not table.abandoned


def test_the_second_store_works_while_the_first_does() -> None:
    there = threading.Event()
    table = Table(look=lambda _: there.set())
    both = beside(pairs([1, 2]), table)
    with both.first() as rows:
        rows.read_next_batch()
        assert there.wait(timeout=10)
        rows.read_all()
    assert both.commit() == 3


def test_rows_wait_for_a_slow_store_where_they_are_made_and_not_in_memory() -> None:
    made: list[int] = []
    go = threading.Event()

    def counted() -> Iterator[Pair]:
        for pair in pairs([1] * 50):
            made.append(len(made))
            yield pair

    table = Table(look=lambda _: None if go.wait(timeout=10) else refuse(_))
    both = beside(counted(), table)
    with both.first() as rows:
        taking = threading.Thread(target=rows.read_all)
        taking.start()
        taking.join(timeout=0.2)
        assert len(made) < 5
        go.set()
        taking.join(timeout=10)
    assert both.commit() == len(made) == 50


@pytest.mark.parametrize("begin", [True, False])
def test_an_error_of_the_second_store_is_its_own(monkeypatch: pytest.MonkeyPatch, *, begin: bool) -> None:
    table = Table(rows=["former"], look=refuse)
    if begin:
        monkeypatch.setattr(table, "begin", lambda: refuse(None))
    both = beside(pairs([1] * 50), table)
    with both.first() as rows:
        assert len(rows.read_all()) == 50
    with pytest.raises(StoreError, match="the disk is full"):
        both.commit()
    assert table.rows == ["former"]
    assert table.abandoned == (not begin)


def take(both: Alongside, batches: int, error: Exception) -> None:
    with both.first() as rows:
        for _ in range(batches):
            rows.read_next_batch()
        if batches == 50:
            assert not rows.read_all()
        raise error


@pytest.mark.parametrize("batches", [0, 1, 50])
@pytest.mark.parametrize("look", [lambda _: None, refuse])
def test_an_error_of_the_first_store_leaves_the_second_as_it_was(batches: int, look: Callable[[object], None]) -> None:
    table = Table(rows=["former"], look=look)
    both = beside(pairs([1] * 50), table)
    error = StoreError("no connection")
    with pytest.raises(StoreError) as raised:
        take(both, batches, error)
    assert raised.value is error
    assert table.rows == ["former"]
    assert not table.staged
    both.abandon()
    assert table.abandoned <= 1


def test_an_error_of_the_rows_reaches_the_first_store_and_leaves_the_second_as_it_was() -> None:
    error = PipelineError("no more")

    def breaking() -> Iterator[Pair]:
        yield from pairs([1, 1])
        raise error

    table = Table(rows=["former"])
    with pytest.raises(PipelineError) as raised:
        take(beside(breaking(), table), 3, StoreError("not reached"))
    assert raised.value is error
    assert table.rows == ["former"]
    assert table.abandoned == 1


def test_the_second_store_never_gets_a_part_for_the_whole() -> None:
    table = Table(rows=["former"])
    both = beside(pairs([1] * 5), table)
    with both.first() as rows:
        rows.read_next_batch()
    with pytest.raises(PipelineError, match="did not take all rows"):
        both.commit()
    assert table.rows == ["former"]


def test_a_load_that_nobody_commits_is_removed() -> None:
    table = Table(rows=["former"])
    both = beside(pairs([1] * 5), table)
    with both.first() as rows:
        rows.read_all()
    both.abandon()
    assert (table.rows, table.staged) == (["former"], [])


def test_before_the_first_store_begins_nothing_is_done() -> None:
    table = Table(rows=["former"])
    both = beside(iter(()), table)
    both.abandon()
    with pytest.raises(PipelineError, match="did not take all rows"):
        both.commit()
    assert table.rows == ["former"]
