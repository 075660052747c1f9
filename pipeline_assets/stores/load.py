"""The staged writing of one batch into one store: begun, written piece by piece from any process, committed once.

Every store's ``begin`` returns a :class:`Load`, a small value that can be pickled: one process begins, any number of
others write pieces, and one commits. No reader sees staged rows.

When a load is dead: beginning a load and beginning or writing a piece are signs of life; where the store supports it
(a lock, a session), the writer of a piece also holds the load. A load without a sign of life for :data:`STALE_AFTER`
is dead, and the next load of its table or file removes what it left. An abandoned load is removed at once. A process
that does everything itself uses the store's ``replace`` (files: ``sink``): a load of one piece without staging, where
the death of the writer is noticed at once.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import pyarrow as pa

from pipeline_assets.errors import StoreError

# No writer works longer than this on one piece without a sign of life.
STALE_AFTER = timedelta(days=1)
# How many missing pieces an error names.
_NAMED = 10


@dataclass(frozen=True)
class Piece:
    """Consecutive rows of a batch: what one worker writes at a time.

    Attributes:
        number: its place among the pieces, from 0; the rows of piece 1 come after those of piece 0.
        count: how many pieces the load has.
    """

    number: int
    count: int


class Load(Protocol):
    """The writing of one batch into one store.

    Pickled, it carries the store's login: give it to your own workers only.
    """

    @property
    def pieces(self) -> int:
        """How many pieces the load has; 1 or more."""
        ...

    def write(self, piece: Piece, rows: pa.RecordBatchReader, progress: Callable[[int], None] | None = None) -> int:
        """Stages the rows of one piece, all or none of them; they replace what was written of the piece before.

        Args:
            piece: which one.
            rows: of the piece, in order; there may be none.
            progress: called from time to time with the rows written so far.

        Returns:
            Rows written.

        Raises:
            StoreError: the load was committed, abandoned or collected, or has no such piece.
            PipelineError: the rows do not fit. An error of the stream is raised unchanged.
        """
        ...

    def commit(self) -> int:
        """Makes all pieces, in their order, the content of the batch, at once; removes the former content.

        Returns:
            Rows of the batch.

        Raises:
            StoreError: a piece was not written (the missing ones are named), or the load was committed, abandoned or
                collected already. The former content stays.
        """
        ...

    def abandon(self) -> None:
        """Removes what was staged. Does nothing after a commit or another abandon."""
        ...


def pieces_of(count: int) -> list[Piece]:
    """All pieces of a load of ``count``."""
    return [Piece(number, count) for number in range(count)]


def check_piece(piece: Piece, count: int) -> None:
    """Refuses a piece that a load of ``count`` pieces does not have.

    Raises:
        StoreError: says which pieces there are.
    """
    if piece.count != count or not 0 <= piece.number < count:
        raise StoreError(
            "the load has no such piece",
            found=f"piece {piece.number} of {piece.count}",
            expected=f"one of {count} pieces, numbered from 0",
        )


def check_count(pieces: int) -> None:
    """Refuses a load without pieces.

    Raises:
        StoreError: a load has one piece or more.
    """
    if pieces < 1:
        raise StoreError("a load has one piece or more", found=pieces)


def check_complete(written: Collection[int], count: int, what: str) -> None:
    """Refuses to commit a load before each of its pieces was written.

    Args:
        written: numbers of the pieces that are there.
        count: how many there must be.
        what: the batch or file, as an error names it.

    Raises:
        StoreError: names the missing pieces.
    """
    missing = [number for number in range(count) if number not in written]
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise StoreError(
            f"{what} cannot be committed: pieces of it were not written",
            found=f"{count - len(missing)} of {count} pieces",
            expected=f"also pieces {', '.join(map(str, missing[:_NAMED]))}{more}",
            do="write the missing pieces, then commit again",
        )


def not_open(what: str) -> StoreError:
    """The error of writing or committing a load that is no longer there."""
    return StoreError(
        f"the load of {what} is not open any more",
        found="it was committed, abandoned, or showed no sign of life for a day",
        do="begin a new load",
    )
