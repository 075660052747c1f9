"""One session with a Tarantool server: installs the Lua side, leaves rows packed, raises our errors."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from typing import Any, Self

import msgpack  # type: ignore[import-untyped]  # it has no types
import tarantool
from tarantool.error import DatabaseError, Error, NetworkError
from tarantool.request import RequestSelect

from pipeline_assets.errors import StoreError, TransientError
from pipeline_assets.settings import TarantoolSettings
from pipeline_assets.stores.features.msgpack_codec import PackedRows, RowsUnpacker

_LUA = resources.files("pipeline_assets.stores.features").joinpath("tarantool.lua").read_text("utf-8")
_MODULE = f"pipeline_assets.features.{hashlib.sha256(_LUA.encode()).hexdigest()[:16]}"

_CONNECT_SECONDS = 10.0
# Longer than the server itself waits for anything: vinyl_timeout is 60 s.
_ANSWER_SECONDS = 90.0

# Iterators of the binary protocol: from a key on (included), and after it.
_GREATER_OR_EQUAL, _GREATER = 5, 6

# Codes of the server's errors, from its errcode.h: what went wrong and what to do.
_TRANSIENT = {
    **dict.fromkeys((6, 7), ("{where} is read-only", "if it stays so, point TARANTOOL_HOST at the master")),
    # Time-out, conflict, still starting, roll-back in progress, vinyl's quota, lost quorum, shutting down; and the
    # code of tarantool.lua for a lease that is not there.
    **dict.fromkeys(
        (78, 97, 116, 134, 135, 216, 217, 222, 279, 20001), ("{where} could not do it just now", "try again")
    ),
}
_REFUSED = {
    2: (
        "{where} has no memory left for this batch; what it held before is untouched",
        "raise its memtx_memory, or keep the features on its disk: feature_store: {{engine: vinyl}} in defs.yaml",
    ),
    40: ("{where} cannot write to its disk", "make room under its wal_dir"),
    42: (
        "the login {login} lacks rights on {where}",
        "let its administrator run "
        + "; ".join(
            f"box.schema.user.grant('{{login}}', '{rights}', '{kind}')"
            for rights, kind in (("execute", "universe"), ("read,write,create,alter,drop", "space"))
        ),
    ),
    **dict.fromkeys(
        (45, 47),
        (
            "{where} refused the login {login}",
            "set TARANTOOL_LOGIN and TARANTOOL_PASSWORD to what the server knows",
        ),
    ),
    110: ("a row is too large for {where}", "raise memtx_max_tuple_size in its box.cfg"),
    139: ("a row is too large for {where}", "raise vinyl_max_tuple_size in its box.cfg"),
}
_INCOMPATIBLE, _OUT_OF_ORDER = 20002, 20003


class Session(tarantool.Connection):  # type: ignore[misc]  # the connector has no types
    """A connection that never reconnects: leases end with their session, so a new session must not replace it."""

    def __init__(self, settings: TarantoolSettings) -> None:
        self._leave_packed = False
        super().__init__(
            settings.host,
            settings.port,
            user=settings.login,
            password=settings.password,
            connection_timeout=_CONNECT_SECONDS,
            socket_timeout=_ANSWER_SECONDS,
            fetch_schema=False,
            # Bytes are sent as strings: 3.x gives binaries to Lua as objects that 2.6 does not know.
            packer_factory=lambda _: msgpack.Packer(use_bin_type=False),
            unpacker_factory=lambda _: RowsUnpacker() if self._leave_packed else msgpack.Unpacker(strict_map_key=False),
        )

    def __enter__(self) -> Self:
        """Installs the Lua side."""
        try:
            self.eval(_LUA, _MODULE)
        except Error:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, function: str, *arguments: Any) -> list[Any]:
        """What a function of ``tarantool.lua`` returns."""
        return list(self.eval(f"return package.loaded['{_MODULE}'].{function}(...)", *arguments).data)

    def page(self, space_id: int, generation: int, after: int | None, limit: int) -> PackedRows:
        """The next rows of a generation in the order of their numbers.

        Args:
            space_id: where they are.
            generation: the first part of their key.
            after: the row number before the first; ``None`` for the very first.
            limit: of rows.
        """
        key, iterator = ([generation], _GREATER_OR_EQUAL) if after is None else ([generation, after], _GREATER)
        self._leave_packed = True
        try:
            # Not the connector's select(): it first downloads the schema of the whole server.
            request = RequestSelect(self, space_id, 0, key, 0, limit, iterator)
            rows: PackedRows = self._send_request(request).data[0]
        finally:
            self._leave_packed = False
        return rows

    def _send_request(self, *arguments: Any, **options: Any) -> Any:
        try:
            return super()._send_request(*arguments, **options)
        except NetworkError:
            # An answer may still arrive; it must not be taken for the answer to another request.
            self.close()
            raise

    def _opt_reconnect(self) -> None:
        """Replaces the connector's method, which would silently reconnect under another session."""
        if self.is_closed():
            raise NetworkError("the connection is closed")


@contextmanager
def to_store_error(settings: TarantoolSettings, facts: dict[str, str]) -> Iterator[None]:
    """Turns the connector's errors into ours.

    Args:
        settings: of the server.
        facts: more facts for the error, beside what was found.

    Raises:
        TransientError: the server does not answer, is starting or shutting down, or a wait timed out.
        StoreError: it refused.
    """
    try:
        yield
    except NetworkError as error:
        # The connector wraps every error of connecting.
        refusal = error.__cause__
        if isinstance(refusal, DatabaseError) and not isinstance(refusal, NetworkError) and refusal.code:
            raise _refused(settings, facts, refusal) from error
        raise TransientError(
            f"Tarantool at {_address(settings)} does not answer",
            **facts,
            found=getattr(error, "message", "") or error,
            do="see that the server runs; TARANTOOL_HOST and TARANTOOL_PORT say where",
        ) from error
    except DatabaseError as error:
        raise _refused(settings, facts, error) from error


def _refused(settings: TarantoolSettings, facts: dict[str, str], error: DatabaseError) -> StoreError:
    words = {"where": f"Tarantool at {_address(settings)}", "login": settings.login}
    if error.code in _TRANSIENT:
        what, do = _TRANSIENT[error.code]
        return TransientError(what.format(**words), **facts, found=error.message, do=do)
    if error.code in _REFUSED:
        what, do = _REFUSED[error.code]
        return StoreError(what.format(**words), **facts, found=error.message, do=do.format(**words))
    if error.code == _INCOMPATIBLE:
        return _incompatible(facts, error.message)
    if error.code == _OUT_OF_ORDER:
        return StoreError(
            "the rows of a piece lie among those of another piece",
            **facts,
            column="row_number",
            found=error.message,
            expected="numbers above all those of the pieces before it",
        )
    return StoreError("{where} refused".format(**words), **facts, found=f"{error.message} (error {error.code})")


def _incompatible(facts: dict[str, str], misfits: str) -> StoreError:
    space, table, *columns = misfits.split("\n")
    return StoreError(
        f"space {space} keeps columns with another type than the task has now",
        **facts,
        column="; ".join(columns),
        do="give the features other names; or drop what is stored, in the server's console: "
        f"box.execute('DROP VIEW {table}'); box.space.{space}:drop() "
        "and materialise the features of every batch again",
    )


def _address(settings: TarantoolSettings) -> str:
    return f"{settings.host}:{settings.port}"
