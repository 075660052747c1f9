"""What holds for the loads of every store."""

import pickle
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pipeline_assets.errors import PipelineError, StoreError
from pipeline_assets.stores.load import Load, Piece, pieces_of
from tests.fixtures.loads import PieceWriter, Place, Rows


def rows(first: int, count: int = 4, writer: str = "me") -> Rows:
    return [(number, writer) for number in range(first, first + count)]


def write(place: Place, load: Load, number: int, what: Rows) -> int:
    return load.write(Piece(number, load.pieces), place.stream(what))


def fill(place: Place, what: Rows) -> None:
    load = place.begin(1)
    write(place, load, 0, what)
    assert load.commit() == len(what)


def aged(place: Place) -> Any:
    """The same place for whoever takes every other load for dead."""
    return replace(place, stale_after=timedelta(0))  # type: ignore[type-var]  # each place is a dataclass


def test_pieces_in_any_order_come_back_in_theirs_all_at_once(load_place: Place) -> None:
    assert load_place.read() is None
    load = load_place.begin(3)
    for number in (2, 0, 1):
        assert write(load_place, load, number, rows(10 * number)) == 4
        assert load_place.read() is None
    assert load.commit() == 12
    assert load_place.read() == rows(0) + rows(10) + rows(20)


def test_a_commit_retires_what_was_there(load_place: Place) -> None:
    fill(load_place, rows(0, 9, "former"))
    load = load_place.begin(2)
    write(load_place, load, 0, rows(0))
    write(load_place, load, 1, rows(4))
    assert load_place.read() == rows(0, 9, "former")
    load.commit()
    assert load_place.read() == rows(0) + rows(4)


def test_a_piece_written_again_is_the_second_alone(load_place: Place) -> None:
    load = load_place.begin(2)
    write(load_place, load, 0, rows(0, 5, "first"))
    write(load_place, load, 1, rows(100))
    write(load_place, load, 0, rows(2, 6, "second"))
    assert load.commit() == 10
    assert load_place.read() == rows(2, 6, "second") + rows(100)


def test_pieces_without_rows_are_pieces(load_place: Place) -> None:
    load = load_place.begin(3)
    write(load_place, load, 0, [])
    write(load_place, load, 1, rows(5))
    write(load_place, load, 2, [])
    assert load.commit() == 4
    assert load_place.read() == rows(5)
    fill(load_place, [])
    assert load_place.read() == []


def test_a_commit_without_all_pieces_names_them_and_changes_nothing(load_place: Place) -> None:
    fill(load_place, rows(0, 2, "former"))
    load = load_place.begin(4)
    write(load_place, load, 1, rows(10))
    with pytest.raises(StoreError, match=r"(?s)not written.*found: +1 of 4 pieces.*pieces 0, 2, 3"):
        load.commit()
    assert load_place.read() == rows(0, 2, "former")
    for number in (0, 2, 3):
        write(load_place, load, number, rows(10 * number))
    assert load.commit() == 16


def test_a_load_is_committed_once(load_place: Place) -> None:
    load = load_place.begin(1)
    write(load_place, load, 0, rows(0))
    load.commit()
    with pytest.raises(StoreError, match="not open any more"):
        load.commit()
    with pytest.raises(StoreError, match="not open any more"):
        write(load_place, load, 0, rows(7))
    load.abandon()
    assert load_place.read() == rows(0)


def test_an_abandoned_load_changes_nothing_and_is_closed(load_place: Place) -> None:
    fill(load_place, rows(0, 2, "former"))
    load = load_place.begin(2)
    write(load_place, load, 0, rows(0))
    load.abandon()
    load.abandon()
    with pytest.raises(StoreError, match="not open any more"):
        write(load_place, load, 1, rows(10))
    with pytest.raises(StoreError, match="not open any more"):
        load.commit()
    assert load_place.read() == rows(0, 2, "former")


@pytest.mark.parametrize("piece", [Piece(2, 2), Piece(-1, 2), Piece(0, 3)])
def test_a_piece_that_the_load_does_not_have_is_refused(load_place: Place, piece: Piece) -> None:
    load = load_place.begin(2)
    with pytest.raises(StoreError, match="no such piece"):
        load.write(piece, load_place.stream(rows(0)))
    with pytest.raises(StoreError, match="one piece or more"):
        load_place.begin(0)


def test_an_error_in_the_stream_comes_through_and_the_piece_may_be_written_again(load_place: Place) -> None:
    load = load_place.begin(1)
    stream = load_place.stream(rows(0))

    def broken() -> Any:
        yield from stream
        raise KeyError("the stream's own")

    with pytest.raises(KeyError, match="the stream's own"):
        load.write(Piece(0, 1), type(stream).from_batches(load_place.schema, broken()))
    with pytest.raises(StoreError, match="not written"):
        load.commit()
    write(load_place, load, 0, rows(3))
    load.commit()
    assert load_place.read() == rows(3)


def test_a_load_pickles_also_once_it_was_used(load_place: Place) -> None:
    load = load_place.begin(2)
    write(load_place, load, 0, rows(0))
    other: Load = pickle.loads(pickle.dumps(load))  # noqa: S301 - our own
    write(load_place, other, 1, rows(4))
    assert pickle.loads(pickle.dumps(other)).commit() == 8  # noqa: S301 - our own
    assert load_place.read() == rows(0, 8)


def test_two_processes_write_two_pieces_at_once(load_place: Place) -> None:
    load = load_place.begin(2)
    parts = [rows(1000 * number, 500, f"process {number}") for number in range(2)]
    writers = [PieceWriter(load_place, load, piece, what) for piece, what in zip(pieces_of(2), parts, strict=True)]
    for writer in writers:
        writer.wait()
    assert [writer.finish() for writer in reversed(writers)] == [500, 500]
    assert load.commit() == 1000
    assert load_place.read() == parts[0] + parts[1]


def test_a_writer_killed_in_its_piece_leaves_the_former_batch_and_a_second_attempt_heals(load_place: Place) -> None:
    fill(load_place, rows(0, 3, "former"))
    load = load_place.begin(2)
    write(load_place, load, 0, rows(0))
    killed = PieceWriter(load_place, load, Piece(1, 2), rows(50, 40, "killed"))
    killed.wait()
    killed.kill()
    assert load_place.read() == rows(0, 3, "former")
    with pytest.raises(StoreError, match=r"(?s)not written.*pieces 1"):
        load.commit()
    write(load_place, load, 1, rows(60))
    load.commit()
    assert load_place.read() == rows(0) + rows(60)


def test_the_next_load_collects_what_dead_ones_left(load_place: Place) -> None:
    fill(load_place, rows(0, 3, "former"))
    dead = load_place.begin(2)
    write(load_place, dead, 0, rows(0))
    # A load that has just been renewed is nobody's to collect.
    fill(load_place, rows(0, 5, "newer"))
    write(load_place, dead, 0, rows(1))
    load = aged(load_place).begin(1)
    with pytest.raises(StoreError, match="not open any more"):
        write(load_place, dead, 1, rows(10))
    write(load_place, load, 0, rows(7))
    load.commit()
    assert load_place.read() == rows(7)


def test_a_load_that_is_being_written_is_not_collected(load_place: Place) -> None:
    load = load_place.begin(1)
    living = PieceWriter(load_place, load, Piece(0, 1), rows(0, 4, "living"))
    living.wait()
    fill(load_place, rows(0, 3, "other"))
    assert living.finish() == 4
    load.commit()
    assert load_place.read() == rows(0, 4, "living")


def test_two_loads_of_one_batch_end_as_the_last_that_committed(load_place: Place) -> None:
    loads = [load_place.begin(2) for _ in range(2)]
    for number in range(2):
        for at, load in enumerate(loads):
            write(load_place, load, number, rows(10 * number, 3 + at, f"load {at}"))
    for at in (1, 0):
        loads[at].commit()
    assert load_place.read() == rows(0, 3, "load 0") + rows(10, 3, "load 0")


def test_what_one_process_does_alone_replaces_a_load_and_is_replaced_by_one(load_place: Place) -> None:
    assert load_place.replace(rows(0, 6, "alone")) == 6
    assert load_place.read() == rows(0, 6, "alone")
    load = load_place.begin(2)
    write(load_place, load, 0, rows(0))
    # Meanwhile, and the load under way is as it was.
    assert load_place.replace(rows(0, 2, "alone again")) == 2
    assert load_place.read() == rows(0, 2, "alone again")
    write(load_place, load, 1, rows(4))
    assert load.commit() == 8
    assert load_place.read() == rows(0, 8)
    assert load_place.replace([]) == 0
    assert load_place.read() == []


def test_features_whose_pieces_lie_in_each_other_are_refused(load_place: Place) -> None:
    if "Feature" not in type(load_place).__name__:
        pytest.skip("only features have an order of their own")
    load = load_place.begin(2)
    write(load_place, load, 0, rows(5))

    def crossed() -> None:
        write(load_place, load, 1, rows(2))
        load.commit()

    with pytest.raises(PipelineError, match=r"out of order|lie among"):
        crossed()
    assert load_place.read() is None
