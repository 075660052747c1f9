"""Fixtures of the tests over several stores at once."""

from tests.fixtures.mlflow import mlflow_server, own_mlflow
from tests.fixtures.postgres import own_postgres, own_tcp_server, tcp_server
from tests.fixtures.s3 import s3_server
from tests.fixtures.tarantool import own_tarantool, tarantool_server, tarantool_settings

__all__ = [
    "mlflow_server",
    "own_mlflow",
    "own_postgres",
    "own_tarantool",
    "own_tcp_server",
    "s3_server",
    "tarantool_server",
    "tarantool_settings",
    "tcp_server",
]
