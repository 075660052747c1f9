"""The address of a Dagster webserver, read from an Airflow connection."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlencode

from dagster_runs.errors import DagsterError


class Connection(Protocol):
    """The fields of an Airflow connection that are used here."""

    conn_id: str
    conn_type: str | None
    host: str | None
    schema: str | None
    port: int | None
    password: str | None


@dataclass(frozen=True)
class Address:
    """The address of one Dagster webserver.

    Attributes:
        url: base URL, without a slash at its end.
        headers: sent with every request; they may hold the token, so nothing shows them.
        ui: base URL of the links for people; by default the same.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)
    ui: str = ""

    @classmethod
    def of(cls, connection: Connection, extra: Mapping[str, Any]) -> "Address":
        """Reads a connection.

        Args:
            connection: host and port; the scheme ``http`` or ``https`` is its type, its schema, or stands before the
                host; the password is the token.
            extra: ``header`` is the name of the header with the token, by default ``Authorization`` (then as
                ``Bearer``); ``path`` is the webserver's path prefix; ``ui`` is the base URL of links for people.

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
        """The URL of a run's page."""
        return f"{self.ui}/runs/{run_id}"

    def runs(self, tags: Mapping[str, str]) -> str:
        """The URL of the page that lists all runs with these tags."""
        query = {f"q[{place}]": f"tag:{key}={value}" for place, (key, value) in enumerate(tags.items())}
        return f"{self.ui}/runs?{urlencode(query)}"
