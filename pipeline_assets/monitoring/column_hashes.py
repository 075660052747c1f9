"""A hash of every column of a stream for each block of rows, so that two streams show where they first differ.

A hash does not depend on how a stream was cut into batches, nor on whether text came as a dictionary. Floats count by
their bits: NaN is not null, and -0.0 is not 0.0.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

ROWS_PER_BLOCK = 65_536
_DIGITS = 16  # 64 bits of a sha256
_PARTS = 3  # of a column's content


@dataclass(frozen=True)
class ColumnHashes:
    """The hashes of a stream.

    Attributes:
        rows: of the stream.
        columns: by name, in the stream's order: one hash for each block of rows.
        rows_per_block: of every block but the last one.
    """

    rows: int
    columns: Mapping[str, tuple[str, ...]]
    rows_per_block: int = ROWS_PER_BLOCK

    def to_json(self) -> dict[str, Any]:
        """As plain values; :meth:`from_json` is its inverse."""
        columns = {name: list(hashes) for name, hashes in self.columns.items()}
        return {"rows": self.rows, "rows_per_block": self.rows_per_block, "columns": columns}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "ColumnHashes":
        """The inverse of :meth:`to_json`."""
        columns = {name: tuple(hashes) for name, hashes in data["columns"].items()}
        return cls(data["rows"], columns, data["rows_per_block"])


@dataclass
class Hashing:
    """Takes the hashes of a stream while it passes."""

    rows_per_block: int = ROWS_PER_BLOCK
    rows: int = 0
    _open: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    _done: dict[str, list[str]] = field(default_factory=dict)

    def passing(self, stream: pa.RecordBatchReader) -> pa.RecordBatchReader:
        """The same stream; ask for :attr:`found` when it has ended."""
        self._done = {name: [] for name in stream.schema.names}

        def batches() -> Iterator[pa.RecordBatch]:
            for batch in stream:
                self._add(batch)
                yield batch

        return pa.RecordBatchReader.from_batches(stream.schema, batches())

    @property
    def found(self) -> ColumnHashes:
        """The hashes of what has passed."""
        last = {name: _digest(hashes) for name, hashes in self._open.items()}
        columns = {name: (*hashes, *([last[name]] if name in last else [])) for name, hashes in self._done.items()}
        return ColumnHashes(self.rows, columns, self.rows_per_block)

    def _add(self, batch: pa.RecordBatch) -> None:
        done = 0
        while done < batch.num_rows:
            count = min(batch.num_rows - done, self.rows_per_block - self.rows % self.rows_per_block)
            part = batch.slice(done, count)
            for name, column in zip(part.schema.names, part.columns, strict=True):
                # Each part has a hash of its own: joined in turn, they would depend on how the rows were cut.
                hashes = self._open.setdefault(name, tuple(hashlib.sha256() for _ in range(_PARTS)))
                for each, content in zip(hashes, _content(column), strict=True):
                    each.update(content)
            done, self.rows = done + count, self.rows + count
            if self.rows % self.rows_per_block == 0:
                for name, hashes in self._open.items():
                    self._done[name].append(_digest(hashes))
                self._open = {}


def first_unequal(one: pa.Array, other: pa.Array) -> int | None:
    """The first place where the values are not the same bits, or one of them is null."""
    valid = [column.is_valid().to_numpy(zero_copy_only=False) for column in (one, other)]
    unequal = np.flatnonzero((valid[0] != valid[1]) | (valid[0] & (bits_of(one) != bits_of(other))))
    return int(unequal[0]) if len(unequal) else None


def bits_of(column: pa.Array) -> np.ndarray[Any, Any]:
    """A column's values so that equal ones are the same bits; a null has those of 0. Text comes as objects."""
    plain = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    if _is_text(plain.type):
        return np.asarray(plain.to_numpy(zero_copy_only=False))
    values = plain.view(_UNSIGNED[plain.type.bit_width]) if _fixed(plain.type) else plain.cast(pa.string())
    filled = values.fill_null(0) if _fixed(plain.type) else values
    return np.asarray(filled.to_numpy(zero_copy_only=False))


_UNSIGNED = {8: pa.uint8(), 16: pa.uint16(), 32: pa.uint32(), 64: pa.uint64()}


def _content(column: pa.Array) -> tuple[bytes | memoryview, ...]:
    """Where there is a value; of text, the length of each; the bits of the values, or the characters."""
    valid = column.is_valid().to_numpy(zero_copy_only=False).tobytes()
    if _fixed(column.type):
        return valid, b"", bits_of(column).tobytes()
    plain = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    text = plain.cast(pa.string()).fill_null("")
    offsets = np.frombuffer(text.buffers()[1], dtype=np.int32)[text.offset : text.offset + len(text) + 1]
    data = text.buffers()[2]
    characters = b"" if data is None else memoryview(data)[offsets[0] : offsets[-1]]
    return valid, np.diff(offsets).tobytes(), characters


def _fixed(kind: pa.DataType) -> bool:
    return bool(pa.types.is_primitive(kind) and not pa.types.is_boolean(kind) and kind.bit_width in _UNSIGNED)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _digest(hashes: tuple[Any, ...]) -> str:
    return hashlib.sha256(b"".join(each.digest() for each in hashes)).hexdigest()[:_DIGITS]
