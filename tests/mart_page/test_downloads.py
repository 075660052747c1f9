"""Downloads by themselves: their own connections, a few at once for a client, and a browser that goes away."""

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from pipeline_assets.mart_page import downloads
from pipeline_assets.mart_page.catalog import Tasks
from pipeline_assets.mart_page.database import HealthMonitor, ReadOnlyDatabase
from pipeline_assets.mart_page.downloads import Downloads
from pipeline_assets.mart_page.page import AppState, Links
from pipeline_assets.settings import Settings
from tests.examples import orders, shop
from tests.fixtures.postgres import Marts
from tests.mart_page.filled import put_input

TASK = shop()
ROWS = 3_000
PATH = "/download/input.csv"


async def no_page(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise AssertionError("a download is answered by itself")


@pytest.fixture
def app(marts: Marts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Downloads]:
    """Downloads over one batch, a few rows at a time, with one connection for the page and two for downloads."""
    monkeypatch.setattr(downloads, "_ROW_GROUP", 100)
    put_input(marts, TASK, "predict", "b", orders(ROWS, stage="predict"))
    reading = partial(ReadOnlyDatabase, marts.server, marts.schema, wait_seconds=0.2)
    state = AppState(
        settings=Settings.from_env({}, tmp_path),
        database=reading(connections=1),
        downloads=reading(connections=2),
        health=HealthMonitor(reading(connections=1)),
        tasks=lambda: Tasks({TASK.name: TASK}, {}),
        links=Links(None, None),
    )
    yield Downloads(no_page, state)
    state.database.close()
    state.downloads.close()


class Client:
    """A browser that takes as many messages as it is told to, and then stops reading."""

    def __init__(self, app: Downloads, host: str) -> None:
        self._app = app
        self.messages: list[Message] = []
        self._takes = asyncio.Semaphore(0)
        self._gone = asyncio.Event()
        self._begun = asyncio.Event()
        scope: dict[str, Any] = {
            "type": "http", "method": "GET", "path": PATH, "headers": [], "client": (host, 1),
            "query_string": f"task={TASK.name}&batch=b".encode(), "server": ("testserver", 80), "scheme": "http",
        }  # fmt: skip
        self._task = asyncio.create_task(self._app(scope, self._receive, self._send))

    async def _receive(self) -> Message:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self.messages.append(message)
        self._begun.set()
        await self._takes.acquire()

    async def begins(self) -> int:
        """The status of the answer, once it is there."""
        await asyncio.wait_for(self._begun.wait(), 30)
        return int(self.messages[0]["status"])

    async def reads_all(self) -> bytes:
        """The body."""
        while not self._task.done():
            self._takes.release()
            await asyncio.sleep(0)
        self._task.result()
        return b"".join(message.get("body", b"") for message in self.messages)

    async def goes_away(self) -> None:
        """Closes the connection without reading on."""
        self._gone.set()
        await asyncio.wait_for(self._task, 30)


def test_a_slow_download_leaves_the_page_its_connection(app: Downloads) -> None:
    async def run() -> None:
        slow = Client(app, "10.0.0.1")
        assert await slow.begins() == 200
        app._app_state.database.ping()  # the page's one connection is free
        app._app_state.database.ping()
        body = await slow.reads_all()
        assert body.count(b"\n") == ROWS + 1

    asyncio.run(run())


def test_a_client_may_run_a_few_downloads_and_others_their_own(app: Downloads) -> None:
    async def run() -> None:
        held = [Client(app, "10.0.0.1"), Client(app, "10.0.0.1")]
        assert [await each.begins() for each in held] == [200, 200]
        assert await Client(app, "10.0.0.1").begins() == 429
        assert await Client(app, "10.0.0.2").begins() == 503  # not refused for itself: no connection is free
        for each in held:
            await each.reads_all()
        again = Client(app, "10.0.0.1")
        assert await again.begins() == 200
        await again.reads_all()

    asyncio.run(run())


def test_a_browser_that_goes_away_gives_the_connection_back(app: Downloads) -> None:
    async def run() -> None:
        for _ in range(5):
            client = Client(app, "10.0.0.1")
            assert await client.begins() == 200
            await client.goes_away()

    asyncio.run(run())


def test_a_download_that_takes_too_long_is_ended(app: Downloads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "SECONDS", -1)

    async def run() -> None:
        assert await Client(app, "10.0.0.1").begins() == 400

    asyncio.run(run())
