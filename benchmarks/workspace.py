"""Where a benchmark stands: a folder with flights, a model trained on them, and the servers' addresses."""

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

import pipeline_assets.defs
from pipeline_assets.demo import flights
from pipeline_assets.engine.duckdb.accepted import RawBatch, load
from pipeline_assets.engine.duckdb.check import check
from pipeline_assets.engine.record import to_metadata
from pipeline_assets.ml.trainers.base import FittedModel, trainer
from pipeline_assets.settings import DatabaseSettings, TarantoolSettings
from pipeline_assets.stores.features.base import FeatureTable
from pipeline_assets.stores.features.parquet import ParquetFeatureStore
from pipeline_assets.stores.files.base import Area
from pipeline_assets.stores.files.local import LocalFiles
from pipeline_assets.stores.files.parquet_file import parquet_sink
from pipeline_assets.task import sql
from pipeline_assets.task.batch import BatchRef
from pipeline_assets.task.preparation import features_query, features_schema, input_mart_query
from pipeline_assets.task.spec import STAGES, Stage, TaskSpec
from pipeline_assets.task.validation import CheckedTask

BATCH = "flights"
_FILE = "ground.json"
# Rows of the demo's own training file; one model is enough to score by.
_ROWS_TO_FIT = 250_000


@dataclass(frozen=True)
class Workspace:
    """A benchmark's place; every process that is measured reads it from the folder.

    Attributes:
        folder: nobody else may read it: passwords are in there.
        rows: of each stage's file.
        tarantool_admin: may do what the store's own login may not: count, truncate, run a loop.
    """

    folder: Path
    rows: int
    postgres: DatabaseSettings
    tarantool: TarantoolSettings
    tarantool_admin: TarantoolSettings

    @classmethod
    def at(cls, folder: Path) -> Self:
        """What :meth:`save` wrote."""
        told: dict[str, Any] = json.loads((folder / _FILE).read_text())
        return cls(
            folder,
            told["rows"],
            DatabaseSettings(**told["postgres"]),
            TarantoolSettings(**told["tarantool"]),
            TarantoolSettings(**told["tarantool_admin"]),
        )

    def save(self) -> None:
        """Leaves it to the processes that will be measured."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / _FILE).write_text(json.dumps(asdict(self) | {"folder": ""}))

    @cached_property
    def task(self) -> TaskSpec:
        """The demo's task."""
        (folder,) = pipeline_assets.defs.__path__
        text = (Path(folder) / flights.TASK / "defs.yaml").read_text()
        return CheckedTask.model_validate(yaml.safe_load(text)["attributes"])

    @cached_property
    def files(self) -> LocalFiles:
        """The flights."""
        return LocalFiles(self.folder / "data")

    @cached_property
    def features(self) -> ParquetFeatureStore:
        """Features ready to be loaded elsewhere."""
        return ParquetFeatureStore(self.folder / "features")

    def ref(self, stage: Stage) -> BatchRef:
        """The one batch of a stage."""
        return BatchRef(self.task.name, stage, BATCH)

    def file(self, stage: Stage) -> Path:
        """Its file."""
        return self.folder / "data" / self.task.name / stage / f"{BATCH}.parquet"

    def table(self, stage: Stage) -> FeatureTable:
        """Its features."""
        return FeatureTable(self.task.name, stage, features_schema(self.task, stage))

    def mart(self, stage: Stage, suffix: str = "parquet") -> Path:
        """The rows of its input mart, ready to be loaded."""
        return self.folder / "mart" / f"{stage}.{suffix}"

    @property
    def model_file(self) -> Path:
        """The model, which does not depend on the number of rows."""
        return self.folder.parent / "model.cbm"

    def model(self) -> FittedModel:
        """The model."""
        from catboost import CatBoostClassifier

        return trainer("catboost").restore(CatBoostClassifier().load_model(str(self.model_file)))

    def raw(self, stage: Stage, task: TaskSpec | None = None) -> RawBatch:
        """A batch that was checked, for the task or for one of the same contract."""
        return load(self.files, task or self.task, self.ref(stage), self.folder / "scratch")

    def check(self, stage: Stage) -> None:
        """Checks a batch and writes the rejected rows, as the asset and its IO manager do."""
        scratch = self.folder / "scratch"
        checked = check(self.files, self.task, self.ref(stage), scratch, lambda _: None)
        with self.files.sink(Area.REJECTED, self.ref(stage), checked.rejected.schema) as sink:
            sink.metadata.update(to_metadata(checked.manifest))
            for batch in checked.rejected:
                sink.write(batch)

    def make(self) -> None:
        """Flights, features, mart rows and the model."""
        self._make_flights()
        for stage in STAGES:
            self.check(stage)
            self.features.replace(self.table(stage), BATCH, self.raw(stage).stream(features_query))
            rows = self.raw(stage).stream(input_mart_query)
            path = self.mart(stage)
            path.parent.mkdir(exist_ok=True)
            with parquet_sink(path, rows.schema, path.name) as sink:
                for batch in rows:
                    sink.write(batch)
        if not self.model_file.exists():
            self._make_model()

    def make_csv(self) -> None:
        """Mart rows as the CSV that psql is measured with."""
        with sql.connect() as connection:
            for stage in STAGES:
                source, target = (sql.text(str(self.mart(stage, suffix))) for suffix in ("parquet", "csv"))
                connection.execute(f"copy (from read_parquet({source})) to {target} (format csv, header false)")

    def _make_flights(self) -> None:
        """The demo's months that have an outcome, as often as it takes, each time a year later: keys stay unique."""
        demo = self.folder.parent / "demo"
        (source,) = (written for written in flights.write(demo) if written.stage == "train")
        hidden: dict[Stage, str] = {"train": "", "predict": f" exclude ({', '.join(flights.OUTCOME)})"}
        with sql.connect(spill=str(self.folder / "scratch")) as connection:
            for stage, exclude in hidden.items():
                self.file(stage).parent.mkdir(parents=True)
                once = "select * replace ((flight_date + to_years({year}))::DATE as flight_date)"
                years = (
                    f"{once.format(year=year)} from read_parquet({sql.text(str(source.path))})"
                    for year in range(-(-self.rows // source.rows))
                )
                query = f"select *{exclude} from ({' union all '.join(years)}) limit {self.rows}"
                target = sql.text(str(self.file(stage)))
                connection.execute(f"copy ({query}) to {target} (format parquet, compression zstd)")

    def _make_model(self) -> None:
        from pipeline_assets.ml.dataset import training_frame
        from pipeline_assets.ml.training import train

        table = self.features.read(self.table("train"), BATCH).read_all().slice(0, _ROWS_TO_FIT)
        trained = train(self.task, training_frame(table.to_reader(), self.task))
        trained.fit.model.native.save_model(str(self.model_file))


def drain(rows: pa.RecordBatchReader) -> int:
    """Reads a stream to its end; the number of rows."""
    count = 0
    for batch in rows:
        count += batch.num_rows
    return count


def parquet(path: Path) -> pa.RecordBatchReader:
    """A parquet file as a stream that holds one row group at a time."""
    file = pq.ParquetFile(path)
    groups = (batch for group in range(file.num_row_groups) for batch in file.iter_batches(row_groups=[group]))
    return pa.RecordBatchReader.from_batches(file.schema_arrow, groups)
