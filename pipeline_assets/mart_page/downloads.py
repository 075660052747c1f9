"""Downloads of what is filtered: ``/download/<input|output>.<csv|parquet>?...``, with the address of the page itself.

Rows go from the server to the browser as they come; what is held in memory is one record batch.
"""

import io
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.parse import quote

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
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
from pipeline_assets.mart_page.views.marts.page import Side, asked_of, columns_of, which_mart

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

PREFIX = "/download/"
_KINDS = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
_SIDES: tuple[Side, ...] = ("input", "output")
_ROW_GROUP = 50_000
_SECONDS = 3600  # of one download; it goes as fast as the browser takes it


class Downloads:
    """Answers for downloads, and hands everything else on."""

    def __init__(self, app: ASGIApp, app_state: AppState) -> None:
        self._app = app
        self._app_state = app_state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        answer = await run_in_threadpool(self._answer, request)
        await answer(scope, receive, send)

    def _answer(self, request: Request) -> Response:
        language = language_of(request)
        name, _, kind = request.url.path.removeprefix(PREFIX).partition(".")
        side = next((one for one in _SIDES if one == name), None)
        if side is None or kind not in _KINDS or request.method != "GET":
            return PlainTextResponse("Not found", 404)
        try:
            mart_name, rows = self._rows(side, Route.parse(request.url.query), language)
            parts = _csv(rows) if kind == "csv" else _parquet(rows)
            first = next(parts, b"")  # whatever is refused is refused before the answer begins
        except TransientError:
            return PlainTextResponse(Texts(language)("shell")("down"), 503)
        except PipelineError as error:
            return PlainTextResponse(str(error), 400)
        headers = {"content-disposition": f"attachment; filename*=UTF-8''{quote(mart_name, safe='')}.{kind}"}
        return StreamingResponse(_chained(first, parts), media_type=_KINDS[kind], headers=headers)

    def _rows(self, side: Side, route: Route, language: str) -> tuple[str, pa.RecordBatchReader]:
        """The file's name, and the rows of an address; the transaction ends with the reader.

        Raises:
            PipelineError: there is no such task or mart, or the server refuses.
        """
        known = self._app_state.tasks().known
        if route.task is None or route.task not in known:
            raise PipelineError("there is no such task", found=route.task, available=known)
        task, database = known[route.task], self._app_state.database
        with database.reading() as cursor:
            mart = catalog.mart(cursor, database.schema, task, which_mart(side, route))
        if mart is None:
            raise PipelineError("there is no such mart yet", task=task.name)
        asked, wrong = asked_of(route, mart, language)
        if wrong:
            raise PipelineError("a filter makes no sense", found=str(wrong[0]))
        with ExitStack() as opening:
            cursor = opening.enter_context(database.reading("downloading", seconds=_SECONDS, stream=True))
            reader = marts.stream(cursor, asked, columns_of(route, mart), _ROW_GROUP)
            opened = opening.pop_all()

        def batches() -> Iterator[pa.RecordBatch]:
            with opened:
                yield from reader

        named = "_".join([mart.name, *([route.batch] if route.batch else [])])
        return named, pa.RecordBatchReader.from_batches(reader.schema, batches())


class _Sink(io.RawIOBase):
    """Keeps what is written until it is taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: "ReadableBuffer", /) -> int:
        part = bytes(data)
        self._parts.append(part)
        return len(part)

    def taken(self) -> bytes:
        """What was written since the last time."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _csv(rows: pa.RecordBatchReader) -> Iterator[bytes]:
    sink = _Sink()
    with pacsv.CSVWriter(pa.PythonFile(sink, "w"), rows.schema) as writer:
        for batch in rows:
            writer.write_batch(batch)
            yield sink.taken()
    yield sink.taken()


def _parquet(rows: pa.RecordBatchReader) -> Iterator[bytes]:
    sink = _Sink()
    with pq.ParquetWriter(pa.PythonFile(sink, "w"), rows.schema) as writer:
        for batch in rows:
            writer.write_batch(batch)
            yield sink.taken()
    yield sink.taken()


def _chained(first: bytes, parts: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from parts
