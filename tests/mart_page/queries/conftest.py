"""Fixtures of the queries' tests: real servers."""

from tests.fixtures.postgres import embedded_server, marts, own_tcp_server, tcp_server

__all__ = ["embedded_server", "marts", "own_tcp_server", "tcp_server"]
