"""Fixtures of the stores' tests."""

from tests.fixtures.files import files_place
from tests.fixtures.s3 import s3_server

__all__ = ["files_place", "s3_server"]
