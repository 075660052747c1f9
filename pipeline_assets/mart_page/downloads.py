"""Downloads of the filtered rows: ``/download/<input|output>.<csv|parquet>?...``, with the query of the page's address.

Rows go from the server to the browser as they come; one record batch is held in memory. Downloads have connections of
their own, so that slow ones do not keep the page waiting, and each client may run a few at once.
"""

import io
import threading
import time
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING
from urllib.parse import quote

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from anyio import CancelScope
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from pipeline_assets.errors import PipelineError, TransientError
from pipeline_assets.mart_page import catalog
from pipeline_assets.mart_page.language import Texts, language_of
from pipeline_assets.mart_page.page import AppState
from pipeline_assets.mart_page.route import Route
from pipeline_assets.mart_page.views.marts import queries as marts
from pipeline_assets.mart_page.views.marts.request import Side, asked_of, columns_of, which_mart

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

PREFIX = "/download/"
_KINDS = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
_SIDES: tuple[Side, ...] = ("input", "output")
_ROW_GROUP = 50_000
_A_CLIENT = 2  # downloads at once
CONNECTIONS = 4
SECONDS = 3600  # for one download; it goes as fast as the browser takes it


class _TooLongError(PipelineError):
    """A browser took too long to take its download, and holds a connection that others wait for."""


class Downloads:
    """Answers requests for downloads, and hands all other requests on."""

    def __init__(self, app: ASGIApp, app_state: AppState) -> None:
        self._app = app
        self._app_state = app_state
        self._running: Counter[str] = Counter()
        self._counting = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        client = request.client.host if request.client else ""
        if not self._begins(client):
            says = Texts(language_of(request))("frame")
            await PlainTextResponse(says("too_many_downloads", n=_A_CLIENT), 429)(scope, receive, send)
            return
        cleanup = ExitStack()
        try:
            answer = await run_in_threadpool(self._answer, request, cleanup)
            await answer(scope, receive, send)
        finally:
            # A browser that goes away leaves rows unread; their connection must come back at once.
            with CancelScope(shield=True):
                await run_in_threadpool(cleanup.close)
            self._ends(client)

    def _begins(self, client: str) -> bool:
        with self._counting:
            if self._running[client] >= _A_CLIENT:
                return False
            self._running[client] += 1
            return True

    def _ends(self, client: str) -> None:
        with self._counting:
            self._running[client] -= 1
            if not self._running[client]:
                del self._running[client]

    def _answer(self, request: Request, cleanup: ExitStack) -> Response:
        language = language_of(request)
        name, _, kind = request.url.path.removeprefix(PREFIX).partition(".")
        side = next((one for one in _SIDES if one == name), None)
        if side is None or kind not in _KINDS or request.method != "GET":
            return PlainTextResponse("Not found", 404)
        try:
            mart_name, rows = self._rows(side, Route.parse(request.url.query), language, cleanup)
            parts = cleanup.enter_context(closing(_csv(rows) if kind == "csv" else _parquet(rows)))
            first = next(parts, b"")  # what the server refuses is refused before the answer begins
        except TransientError:
            return PlainTextResponse(Texts(language)("frame")("down"), 503)
        except PipelineError as error:
            return PlainTextResponse(str(error), 400)
        headers = {"content-disposition": f"attachment; filename*=UTF-8''{quote(mart_name, safe='')}.{kind}"}
        return StreamingResponse(_chained(first, parts), media_type=_KINDS[kind], headers=headers)

    def _rows(self, side: Side, route: Route, language: str, cleanup: ExitStack) -> tuple[str, pa.RecordBatchReader]:
        """The file's name, and the rows of an address; the transaction ends with the rows, or with ``cleanup``.

        Raises:
            PipelineError: there is no such task or mart, or the server refuses.
        """
        known = self._app_state.tasks().known
        if route.task is None or route.task not in known:
            raise PipelineError("there is no such task", found=route.task, available=known)
        task, database = known[route.task], self._app_state.downloads
        with self._app_state.database.reading() as cursor:
            mart = catalog.mart(cursor, database.schema, task, which_mart(side, route))
        if mart is None:
            raise PipelineError("there is no such mart yet", task=task.name)
        asked, wrong = asked_of(route, mart, language)
        if wrong:
            raise PipelineError("a filter's value does not fit its column", found=str(wrong[0]))
        with ExitStack() as opening:
            cursor = opening.enter_context(database.reading("downloading", stream=True))
            reader = marts.stream(cursor, asked, columns_of(route, mart), _ROW_GROUP)
            opened = opening.pop_all()
        cleanup.callback(opened.close)
        until = time.monotonic() + SECONDS

        def batches() -> Iterator[pa.RecordBatch]:
            with opened:
                for batch in reader:
                    if time.monotonic() > until:
                        raise _TooLongError("the download took too long", expected=f"at most {SECONDS} seconds")
                    yield batch

        named = "_".join([mart.name, *([route.batch] if route.batch else [])])
        return named, pa.RecordBatchReader.from_batches(reader.schema, batches())


class _Sink(io.RawIOBase):
    """Keeps what is written until it is read."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: "ReadableBuffer", /) -> int:
        part = bytes(data)
        self._parts.append(part)
        return len(part)

    def taken(self) -> bytes:
        """What was written since the last call."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _csv(rows: pa.RecordBatchReader) -> Generator[bytes, None, None]:
    sink = _Sink()
    with pacsv.CSVWriter(pa.PythonFile(sink, "w"), rows.schema) as writer:
        for batch in rows:
            writer.write_batch(batch)
            yield sink.taken()
    yield sink.taken()


def _parquet(rows: pa.RecordBatchReader) -> Generator[bytes, None, None]:
    sink = _Sink()
    with pq.ParquetWriter(pa.PythonFile(sink, "w"), rows.schema) as writer:
        for batch in rows:
            writer.write_batch(batch)
            yield sink.taken()
    yield sink.taken()


def _chained(first: bytes, parts: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from parts
