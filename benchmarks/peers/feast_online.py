"""Feast: features from a parquet file into its online store (SQLite, its default), by ``materialize``.

``python -m benchmarks.peers.feast_online <folder>``; does a sample, because it takes minutes for a million rows.
"""

import json
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import from_value_type

from benchmarks.clock import timed

_ROWS = 20_000
_KEY = "row_number"
_MADE_AT = datetime(2026, 1, 1, tzinfo=UTC)
_TYPES = {pa.float64(): ValueType.DOUBLE, pa.string(): ValueType.STRING, pa.int64(): ValueType.INT64}


def main(folder: Path) -> None:
    """Prints what was measured as the last line of its output."""
    (source,) = folder.glob("features/**/*train*/**/*.parquet")
    rows = next(pq.ParquetFile(source).iter_batches(_ROWS))
    names = [name for name in rows.schema.names if name != _KEY and rows.schema.field(name).type in _TYPES]
    table = pa.Table.from_batches([rows]).select([_KEY, *names])
    table = table.append_column("made_at", pa.array([_MADE_AT] * len(table), pa.timestamp("us", "UTC")))
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        file = Path(scratch) / "features.parquet"
        pq.write_table(table, file)
        store = FeatureStore(
            config=RepoConfig(
                project="peer",
                provider="local",
                registry=str(Path(scratch) / "registry.db"),
                online_store={"type": "sqlite", "path": str(Path(scratch) / "online.db")},
                entity_key_serialization_version=3,
            )
        )
        entity = Entity(name="row", join_keys=[_KEY], value_type=ValueType.INT64)
        view = FeatureView(
            name="features",
            entities=[entity],
            schema=[
                Field(name=name, dtype=from_value_type(_TYPES[table.schema.field(name).type]))
                for name in (_KEY, *names)
            ],
            source=FileSource(path=str(file), timestamp_field="made_at"),
            ttl=timedelta(days=36_500),
        )
        store.apply([entity, view])

        def work() -> int:
            store.materialize(_MADE_AT - timedelta(days=1), _MADE_AT + timedelta(days=1))
            return len(table)

        print(json.dumps(timed(work)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
