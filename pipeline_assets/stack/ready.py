"""Checks by its own protocol whether each server accepts requests, and creates what the pipeline expects on it.

Each function returns when all is there, does nothing twice, and raises :class:`NotYet` as long as it cannot.
"""

import json
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from pipeline_assets.stack.plan import DATA_BUCKET, MODELS_BUCKET, Plan
from pipeline_assets.stack.tarantool import add_login

_SECONDS = 5
# A proxy of the user does not reach the loopback.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_LOCATION = """{
  workspaceOrError { ... on Workspace { locationEntries {
    name loadStatus locationOrLoadError { __typename ... on PythonError { message } }
  } } }
}"""
_DAEMONS = "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy lastHeartbeatTime } } } }"


class NotYet(Exception):  # noqa: N818 - it is no error
    """The server does not accept requests yet; the message is its latest answer."""


def s3(plan: Plan, _since: float) -> None:
    """S3: the buckets exist, and an object can be written and read."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    with _not_yet(BotoCoreError, ClientError):
        client = boto3.session.Session().client(
            "s3",
            endpoint_url=plan.s3.endpoint,
            aws_access_key_id=plan.s3.access_key,
            aws_secret_access_key=plan.s3.secret_key,
            region_name=plan.s3.region,
            config=Config(connect_timeout=_SECONDS, read_timeout=_SECONDS, retries={"total_max_attempts": 1}),
        )
        there = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
        for bucket in (DATA_BUCKET, MODELS_BUCKET):
            if bucket not in there:
                client.create_bucket(Bucket=bucket)
            # Names are known before the disks are: only an object tells that both are.
            client.put_object(Bucket=bucket, Key=".ready", Body=b"yes")
            client.get_object(Bucket=bucket, Key=".ready")["Body"].read()
            client.delete_object(Bucket=bucket, Key=".ready")


def postgres(plan: Plan, _since: float) -> None:
    """PostgreSQL: the pipeline's login can connect to its database."""
    import psycopg2
    from psycopg2.sql import SQL, Identifier

    root, login = plan.postgres_root, plan.postgres
    with _not_yet(psycopg2.OperationalError):
        connection = psycopg2.connect(
            host=root.host, port=root.port, dbname=root.database, user=root.login, password=root.password,
            connect_timeout=_SECONDS,
        )  # fmt: skip
    connection.autocommit = True  # no database is made in a transaction
    try:
        with connection.cursor() as cursor:
            name, database = Identifier(login.login), Identifier(login.database)
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [login.login])
            if not cursor.fetchone():
                cursor.execute(SQL("CREATE ROLE {} LOGIN CREATEROLE PASSWORD %s").format(name), [login.password])
                # So that the mart page may take the readers' role, which this login will make.
                cursor.execute(SQL("ALTER ROLE {} SET createrole_self_grant = 'set'").format(name))
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [login.database])
            if not cursor.fetchone():
                cursor.execute(SQL("CREATE DATABASE {} OWNER {}").format(database, name))
    finally:
        connection.close()


def tarantool(plan: Plan, _since: float) -> None:
    """Tarantool: the pipeline's login exists."""
    from tarantool.error import Error

    with _not_yet(Error, OSError):
        add_login(plan.tarantool_admin, plan.tarantool)


def mlflow(plan: Plan, _since: float) -> None:
    """MLflow: it answers from its database."""
    asked(f"{plan.url('mlflow')}/api/2.0/mlflow/experiments/search", {"max_results": 1})


def dagster(plan: Plan, _since: float) -> None:
    """Dagster: it has loaded the code location."""
    location_loaded(plan.url("dagster"))


def location_loaded(url: str) -> None:
    """The Dagster webserver at a URL has loaded its code location."""
    workspace = _graphql(url, _LOCATION)["workspaceOrError"]
    for entry in workspace.get("locationEntries", []):
        found = entry["locationOrLoadError"]
        if entry["loadStatus"] != "LOADED" or not found or found["__typename"] != "RepositoryLocation":
            raise NotYet(f"{entry['name']}: {(found or {}).get('message') or entry['loadStatus']}")
    if not workspace.get("locationEntries"):
        raise NotYet("no code location")


def dagster_daemon(plan: Plan, since: float) -> None:
    """Dagster's daemons have sent a heartbeat since they were started."""
    for daemon in _graphql(plan.url("dagster"), _DAEMONS)["instance"]["daemonHealth"]["allDaemonStatuses"]:
        if daemon["required"] and (not daemon["healthy"] or (daemon["lastHeartbeatTime"] or 0) < since):
            raise NotYet(f"{daemon['daemonType']} gives no sign of life")


def mart_page(plan: Plan, _since: float) -> None:
    """The mart page answers with its first page."""
    with _not_yet(OSError), _OPENER.open(plan.url("mart_page"), timeout=_SECONDS):
        pass


def checks(plan: Plan, since: float) -> dict[str, Callable[[], object]]:
    """One check per program: it returns if the program accepts requests, otherwise it raises :class:`NotYet`.

    Args:
        plan: where to ask.
        since: the moment of the start; signs of life from before do not count.
    """
    functions = {
        "s3": s3,
        "postgres": postgres,
        "tarantool": tarantool,
        "mlflow": mlflow,
        "dagster": dagster,
        "dagster-daemon": dagster_daemon,
        "mart-page": mart_page,
    }
    return {name: partial(check, plan, since) for name, check in functions.items()}


def _graphql(url: str, query: str) -> dict[str, Any]:
    data: dict[str, Any] = asked(f"{url}/graphql", {"query": query})["data"]
    return data


def asked(url: str, body: dict[str, Any] | None = None, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The JSON answer of one of the servers.

    Args:
        url: of the question.
        body: posted as JSON; without one it is a GET.
        headers: beside the body's.

    Raises:
        NotYet: it does not answer, or not so.
    """
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310 - an address of ours
        url, data, {"Content-Type": "application/json", **(headers or {})}
    )
    with _not_yet(OSError, json.JSONDecodeError), _OPENER.open(request, timeout=_SECONDS) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


@contextmanager
def _not_yet(*errors: type[Exception]) -> Iterator[None]:
    try:
        yield
    except errors as error:
        raise NotYet(str(error).strip()) from error
