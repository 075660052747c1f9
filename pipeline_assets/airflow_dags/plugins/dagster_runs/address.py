"""Where Dagster is: an Airflow connection, read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlencode

from dagster_runs.errors import DagsterError


class Connection(Protocol):
    """What is used of Airflow's connection."""

    conn_id: str
    conn_type: str | None
    host: str | None
    schema: str | None
    port: int | None
    password: str | None


@dataclass(frozen=True)
class Address:
    """Of one Dagster webserver.

    Attributes:
        url: without a slash at its end.
        headers: of every request; may hold the token, so they are shown nowhere.
        ui: where people find it, by default the same.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)
    ui: str = ""

    @classmethod
    def of(cls, connection: Connection, extra: Mapping[str, Any]) -> "Address":
        """From a connection.

        Args:
            connection: host, port; scheme ``http`` or ``https`` as its type, its schema, or before the host;
                the password is the token.
            extra: ``header`` that carries the token, by default ``Authorization`` (then as ``Bearer``); ``path``
                of a webserver that does not live at the root; ``ui`` for links, where people know another address.

        Raises:
            DagsterError: the connection has no host or an unknown extra.
        """
        unknown = set(extra) - {"header", "path", "ui"}
        if unknown:
            raise DagsterError(
                f"connection {connection.conn_id}: extra {', '.join(sorted(unknown))}; expected: header, path, ui"
            )
        if not connection.host:
            raise DagsterError(f"connection {connection.conn_id} has no host; expected: that of the Dagster webserver")
        scheme, _, host = connection.host.rpartition("://")
        named = [own for own in (connection.schema, connection.conn_type) if own in ("http", "https")]
        scheme = scheme or (named[0] if named else "http")
        port = f":{connection.port}" if connection.port else ""
        path = str(extra.get("path", "")).strip("/")
        url = f"{scheme}://{host.rstrip('/')}{port}" + (f"/{path}" if path else "")
        headers = {}
        if connection.password:
            header = str(extra.get("header", "Authorization"))
            bearer = "Bearer " if header.lower() == "authorization" else ""
            headers[header] = f"{bearer}{connection.password}"
        return cls(url, headers, str(extra.get("ui", url)).rstrip("/"))

    def run(self, run_id: str) -> str:
        """The page of a run."""
        return f"{self.ui}/runs/{run_id}"

    def runs(self, tags: Mapping[str, str]) -> str:
        """The page of all runs that carry these tags."""
        query = {f"q[{place}]": f"tag:{key}={value}" for place, (key, value) in enumerate(tags.items())}
        return f"{self.ui}/runs?{urlencode(query)}"
