"""The stores of the assets, by the environment; building them connects to nothing."""

import os
from pathlib import Path
from typing import TypedDict

from pipeline_assets.errors import needs_extra
from pipeline_assets.settings import Settings
from pipeline_assets.stores.features.base import FeatureStore
from pipeline_assets.stores.features.parquet import ParquetFeatureStore
from pipeline_assets.stores.files.anywhere import FileAnywhere
from pipeline_assets.stores.files.base import FileStore
from pipeline_assets.stores.files.local import LocalFiles
from pipeline_assets.stores.files.s3 import S3Files
from pipeline_assets.stores.files.s3_bucket import Bucket
from pipeline_assets.stores.marts.greenplum import MartStore
from pipeline_assets.stores.registry.registry import Registry


class Resources(TypedDict):
    """The code location's resources, by the keys that assets use.

    Attributes:
        files: inputs, outputs and rejected rows.
        features: prepared rows.
        marts: tables for people.
        registry: models.
        scratch: folder for temporary files of a step.
    """

    files: FileStore
    features: FeatureStore
    marts: MartStore
    registry: Registry
    scratch: Path


def file_store(settings: Settings) -> FileStore:
    """The file store that the environment names; it is not accessed yet."""
    if settings.s3 is None:
        return LocalFiles(Path(settings.data_uri))
    return S3Files(settings.data_uri, settings.s3, settings.state / "downloads")


def file_at(uri: str, settings: Settings) -> FileAnywhere:
    """A file or folder anywhere: a path, or ``s3://`` on the endpoint that the environment names.

    Raises:
        SettingsError: the environment names the endpoint's login by halves.
    """
    bucket = None
    if uri.startswith("s3://"):
        endpoint = settings.s3 or Settings.from_env({**os.environ, "DATA_URI": uri}).s3
        bucket = None if endpoint is None else Bucket(endpoint, uri.removeprefix("s3://").partition("/")[0])
    return FileAnywhere(uri, bucket, settings.state / "downloads")


def resources(settings: Settings) -> Resources:
    """Servers where the environment names them, otherwise embedded stores under ``settings.state``.

    Raises:
        SettingsError: the client of a named server is not installed.
    """
    return Resources(
        files=file_store(settings),
        features=_feature_store(settings),
        marts=MartStore(settings.greenplum or settings.state / "postgres", settings.schema),
        registry=Registry(settings.mlflow or settings.state / "mlflow", settings.mlflow_ui),
        scratch=settings.state / "scratch",
    )


def _feature_store(settings: Settings) -> FeatureStore:
    if settings.tarantool is None:
        return ParquetFeatureStore(settings.state / "features")
    with needs_extra("tarantool", "features in Tarantool"):
        from pipeline_assets.stores.features.tarantool import TarantoolFeatureStore

        return TarantoolFeatureStore(settings.tarantool)
