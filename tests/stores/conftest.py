"""Fixtures of the stores' tests: real servers and embedded ones behind the same names."""

from tests.fixtures.files import files_place
from tests.fixtures.loads import load_place
from tests.fixtures.mlflow import mlflow2_server, mlflow_server, own_mlflow
from tests.fixtures.postgres import embedded_server, mart_store, marts, own_tcp_server, tcp_server
from tests.fixtures.s3 import s3_server
from tests.fixtures.tarantool import own_tarantool, tarantool_server, tarantool_settings

__all__ = [
    "embedded_server",
    "files_place",
    "load_place",
    "mart_store",
    "marts",
    "mlflow2_server",
    "mlflow_server",
    "own_mlflow",
    "own_tarantool",
    "own_tcp_server",
    "s3_server",
    "tarantool_server",
    "tarantool_settings",
    "tcp_server",
]
