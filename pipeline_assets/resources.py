"""The stores behind the assets, as the environment decides; building them connects to nothing."""

from pathlib import Path
from typing import TypedDict

from pipeline_assets.settings import Settings
from pipeline_assets.stores.features.base import FeatureStore
from pipeline_assets.stores.features.parquet import ParquetFeatureStore
from pipeline_assets.stores.features.tarantool import TarantoolFeatureStore
from pipeline_assets.stores.files.base import FileStore, file_store
from pipeline_assets.stores.marts.greenplum import MartStore
from pipeline_assets.stores.registry.registry import Registry


class Resources(TypedDict):
    """The code location's resources, by the keys that assets ask for.

    Attributes:
        files: inputs, outputs and rejected rows.
        features: prepared rows.
        marts: tables for people.
        registry: models.
        scratch: folder for what a step puts down while it works.
    """

    files: FileStore
    features: FeatureStore
    marts: MartStore
    registry: Registry
    scratch: Path


def resources(settings: Settings) -> Resources:
    """Servers where the environment names them, embedded stores under ``settings.state`` elsewhere."""
    return Resources(
        files=file_store(settings),
        features=(
            TarantoolFeatureStore(settings.tarantool)
            if settings.tarantool
            else ParquetFeatureStore(settings.state / "features")
        ),
        marts=MartStore(settings.greenplum or settings.state / "postgres", settings.schema),
        registry=Registry(settings.mlflow or settings.state / "mlflow", settings.mlflow_ui),
        scratch=settings.state / "scratch",
    )
