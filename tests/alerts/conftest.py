"""The webhook of the tests: a real server on this machine."""

from collections.abc import Iterator

import pytest

from tests.fixtures.receiver import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver
