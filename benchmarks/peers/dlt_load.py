"""dlt: the mart's parquet file into PostgreSQL by its Arrow source and CSV loader, the fastest that it documents.

Its table has no key and no index. ``python -m benchmarks.peers.dlt_load <folder>``.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import dlt
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.clock import timed


def main(folder: Path) -> None:
    """Prints what was measured as the last line of its output."""
    at = json.loads((folder / "ground.json").read_text())["postgres"]
    file = pq.ParquetFile(folder / "mart" / "train.parquet")
    login = f"{at['login']}:{at['password']}@{at['host']}:{at['port']}/{at['database']}"

    def rows() -> Iterator[pa.Table]:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group)

    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        pipeline = dlt.pipeline(
            "peer",
            pipelines_dir=scratch,
            destination=dlt.destinations.postgres(f"postgresql://{login}"),
            dataset_name="peer",
        )

        def work() -> int:
            pipeline.run(rows(), table_name="flights", write_disposition="replace", loader_file_format="csv")
            return int(file.metadata.num_rows)

        print(json.dumps(timed(work)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
