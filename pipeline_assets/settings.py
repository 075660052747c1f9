"""Which servers the pipeline works with: environment variables name them; a system without them runs embedded."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Self, cast, get_args
from urllib.parse import unquote, urlsplit, urlunsplit

from pipeline_assets.errors import SettingsError

PACKAGED_TASKS = Path(__file__).resolve().parent / "defs"

# Every variable that is read here, in the order of the documentation, with its default: what is not in this table is
# not read.
VARIABLES: Mapping[str, str | None] = MappingProxyType(
    {
        "DATA_URI": "data",
        "AWS_ENDPOINT_URL": None,
        "AWS_ACCESS_KEY_ID": None,
        "AWS_SECRET_ACCESS_KEY": None,
        "AWS_SESSION_TOKEN": None,
        "AWS_REGION": None,
        "AWS_CA_BUNDLE": None,
        "GREENPLUM_HOST": None,
        "GREENPLUM_PORT": "5432",
        "GREENPLUM_DATABASE": None,
        "GREENPLUM_SCHEMA": "marts",
        "GREENPLUM_LOGIN": None,
        "GREENPLUM_PASSWORD": None,
        "PGSSLROOTCERT": None,
        "TARANTOOL_HOST": None,
        "TARANTOOL_PORT": "3301",
        "TARANTOOL_LOGIN": None,
        "TARANTOOL_PASSWORD": None,
        "MLFLOW_URL": None,
        "MLFLOW_TRACKING_URI": None,
        "MLFLOW_LOGIN": None,
        "MLFLOW_PASSWORD": None,
        "MLFLOW_UI_URL": None,
        "REQUESTS_CA_BUNDLE": None,
        "PIPELINE_STATE": ".pipeline",
        "PIPELINE_TASKS": None,
        "DAGSTER_UI_URL": None,
        "PIPELINE_WEBHOOK_URL": None,
        "PIPELINE_WEBHOOK_FORMAT": "json",
        "PIPELINE_WEBHOOK_DETAILS": "0",
        "OPENLINEAGE_URL": None,
        "OPENLINEAGE_CONFIG": None,
        "OPENLINEAGE_NAMESPACE": "pipeline_assets",
        "OPENLINEAGE_DISABLED": None,
    }
)


@dataclass(frozen=True)
class S3Settings:
    """An S3 endpoint; missing credentials come from boto's own chain (profile, instance role)."""

    endpoint: str | None
    access_key: str | None = field(repr=False)
    secret_key: str | None = field(repr=False)
    region: str | None
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class DatabaseSettings:
    """A Greenplum or PostgreSQL server."""

    host: str
    port: int
    database: str
    login: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class TarantoolSettings:
    """A Tarantool server."""

    host: str
    port: int
    login: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class MlflowSettings:
    """An MLflow tracking server; MLflow itself reads ``MLFLOW_S3_ENDPOINT_URL`` from the environment.

    Attributes:
        url: of its API, without credentials.
        login: ``None`` where the server needs none.
        password: of that login.
    """

    url: str
    login: str | None
    password: str | None = field(repr=False)


WebhookFormat = Literal["json", "slack"]


@dataclass(frozen=True)
class WebhookSettings:
    """Who is told of failures.

    Attributes:
        url: takes the messages; whoever knows it can write there, so it is a secret as a whole.
        form: of the messages: all facts as JSON, or one text, as Slack and Mattermost take it.
        details: whether a message may say what was found, which may be a value of a row.
    """

    url: str = field(repr=False)
    form: WebhookFormat = "json"
    details: bool = False


@dataclass(frozen=True)
class Settings:
    """The settings from the environment. A system that is ``None`` runs embedded, under :attr:`state`.

    Attributes:
        data_uri: ``s3://bucket/prefix`` or a folder.
        state: folder of the embedded systems.
        schema: of the marts.
        mlflow_ui: where people open MLflow, without credentials: from the environment, else the server's address;
            ``None`` where neither is known.
        tasks: folders whose sub-folders are tasks: the packaged example's, then those of ``PIPELINE_TASKS``.
        webhook: who is told of failures; ``None`` for nobody.
        dagster_ui: where people open Dagster, without credentials; ``None`` where that is not known.
        lineage_namespace: of the jobs in OpenLineage's events; ``None`` where no events are sent.
    """

    data_uri: str
    state: Path
    schema: str
    s3: S3Settings | None
    greenplum: DatabaseSettings | None
    tarantool: TarantoolSettings | None
    mlflow: MlflowSettings | None
    mlflow_ui: str | None = None
    tasks: tuple[Path, ...] = (PACKAGED_TASKS,)
    webhook: WebhookSettings | None = None
    dagster_ui: str | None = None
    lineage_namespace: str | None = None

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None, root: Path | None = None) -> Self:
        """Reads the variables that the docs describe.

        Args:
            env: the environment; the process's own by default.
            root: base of relative folders; the working directory by default.

        Raises:
            SettingsError: only some variables of a server are set (the missing ones are named), or a value is invalid.
        """
        given = os.environ if env is None else env
        defaults = {name: default for name, default in VARIABLES.items() if default is not None}
        values = {name: value for name in VARIABLES if (value := given.get(name))}
        root = Path.cwd() if root is None else root
        data_uri = values.get("DATA_URI", defaults["DATA_URI"])
        if "://" in data_uri and not data_uri.startswith("s3://"):
            raise SettingsError("DATA_URI names no place we can read", found=data_uri, expected="s3://... or a folder")
        if "://" not in data_uri:
            data_uri = str((root / data_uri).resolve())
        s3 = _s3(values) if data_uri.startswith("s3://") else None
        greenplum, mlflow = _greenplum(values), _mlflow(values)
        for server, variable in ((s3, "AWS_CA_BUNDLE"), (greenplum, "PGSSLROOTCERT"), (mlflow, "REQUESTS_CA_BUNDLE")):
            if server is not None:
                _check_authority(values, variable)
        return cls(
            data_uri=data_uri.rstrip("/"),
            state=(root / values.get("PIPELINE_STATE", defaults["PIPELINE_STATE"])).resolve(),
            schema=values.get("GREENPLUM_SCHEMA", defaults["GREENPLUM_SCHEMA"]),
            s3=s3,
            greenplum=greenplum,
            tarantool=_tarantool(values),
            mlflow=mlflow,
            mlflow_ui=_ui(values, "MLFLOW_UI_URL") or (mlflow.url if mlflow else None),
            tasks=_tasks(values, root),
            webhook=_webhook(values),
            dagster_ui=_ui(values, "DAGSTER_UI_URL"),
            lineage_namespace=_lineage_namespace(values),
        )


def _check_authority(values: Mapping[str, str], variable: str) -> None:
    """Checks a variable that the clients read themselves: their errors say little about a missing file."""
    given = values.get(variable)
    if given is not None and not (variable == "PGSSLROOTCERT" and given == "system") and not Path(given).exists():
        raise SettingsError(
            f"{variable} names a file that is not there",
            found=given,
            expected="the file with the certificate of the authority that signed the server's certificate",
        )


def _tasks(values: Mapping[str, str], root: Path) -> tuple[Path, ...]:
    """The packaged example's folder, then each of ``PIPELINE_TASKS`` once."""
    named = [(root / Path(text).expanduser()).resolve() for text in values.get("PIPELINE_TASKS", "").split(":") if text]
    missing = [folder for folder in named if not folder.is_dir()]
    if missing:
        raise SettingsError(
            "PIPELINE_TASKS names what is no folder",
            found=", ".join(str(folder) for folder in missing),
            expected="folders whose sub-folders hold a defs.yaml each, with : between them",
            do="make the folder, or correct the variable",
        )
    return tuple(dict.fromkeys((PACKAGED_TASKS, *named)))


def _server(values: Mapping[str, str], prefix: str, names: tuple[str, ...]) -> dict[str, str] | None:
    """The variables of one server: ``None`` if none is set; an error if only some are."""
    given = {name: values[f"{prefix}_{name}"] for name in names if f"{prefix}_{name}" in values}
    defaults = {name: default for name in names if (default := VARIABLES[f"{prefix}_{name}"])}
    if not given:
        return None
    missing = [name for name in names if name not in given and name not in defaults]
    if missing:
        raise SettingsError(
            f"{prefix.capitalize()} is half-set",
            found=", ".join(f"{prefix}_{name}" for name in given),
            expected=f"{', '.join(f'{prefix}_{name}' for name in missing)} as well, or none of them to run embedded",
        )
    return {**defaults, **given}


def _port(prefix: str, text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:  # noqa: PLR2004
        raise SettingsError(f"{prefix}_PORT is no port", found=text, expected="a number from 1 to 65535")
    return int(text)


def _greenplum(values: Mapping[str, str]) -> DatabaseSettings | None:
    got = _server(values, "GREENPLUM", ("HOST", "PORT", "DATABASE", "LOGIN", "PASSWORD"))
    if got is None:
        return None
    return DatabaseSettings(
        host=got["HOST"],
        port=_port("GREENPLUM", got["PORT"]),
        database=got["DATABASE"],
        login=got["LOGIN"],
        password=got["PASSWORD"],
    )


def _tarantool(values: Mapping[str, str]) -> TarantoolSettings | None:
    got = _server(values, "TARANTOOL", ("HOST", "PORT", "LOGIN", "PASSWORD"))
    if got is None:
        return None
    return TarantoolSettings(
        host=got["HOST"], port=_port("TARANTOOL", got["PORT"]), login=got["LOGIN"], password=got["PASSWORD"]
    )


def _mlflow(values: Mapping[str, str]) -> MlflowSettings | None:
    variable = "MLFLOW_URL" if "MLFLOW_URL" in values else "MLFLOW_TRACKING_URI"
    login, password = values.get("MLFLOW_LOGIN"), values.get("MLFLOW_PASSWORD")
    if variable not in values:
        if login or password:
            raise SettingsError(
                "MLflow is half-set", found="MLFLOW_LOGIN or MLFLOW_PASSWORD", expected="MLFLOW_URL as well"
            )
        return None
    url, own_login, own_password = _http(variable, values[variable])
    login, password = login or own_login, password or own_password
    if (login is None) != (password is None):
        missing = "MLFLOW_LOGIN" if login is None else "MLFLOW_PASSWORD"
        raise SettingsError("MLflow is half-set", found=variable, expected=f"{missing} as well")
    return MlflowSettings(url=url, login=login, password=password)


def _ui(values: Mapping[str, str], variable: str) -> str | None:
    return _http(variable, values[variable])[0] if variable in values else None


def _webhook(values: Mapping[str, str]) -> WebhookSettings | None:
    url, form = values.get("PIPELINE_WEBHOOK_URL"), values.get("PIPELINE_WEBHOOK_FORMAT", "json")
    details = values.get("PIPELINE_WEBHOOK_DETAILS", "0")
    if url is None:
        return None
    try:
        _http("PIPELINE_WEBHOOK_URL", url)
    except SettingsError as wrong:  # its own text shows a part of the address
        raise SettingsError(
            wrong.what, expected="http://... or https://...; it is a secret, so not shown here"
        ) from None
    if form not in get_args(WebhookFormat):
        raise SettingsError(
            "PIPELINE_WEBHOOK_FORMAT is none of the formats", found=form, available=get_args(WebhookFormat)
        )
    if details not in ("0", "1"):
        raise SettingsError("PIPELINE_WEBHOOK_DETAILS is neither 0 nor 1", found=details, expected="0 or 1")
    return WebhookSettings(url, cast("WebhookFormat", form), details == "1")


def _lineage_namespace(values: Mapping[str, str]) -> str | None:
    """OpenLineage's client reads the variables itself; here it only matters whether there are any."""
    asked = any(name in ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG") for name in values)
    off = values.get("OPENLINEAGE_DISABLED", "").strip().lower() == "true"
    return values.get("OPENLINEAGE_NAMESPACE", "pipeline_assets") if asked and not off else None


def _http(variable: str, url: str) -> tuple[str, str | None, str | None]:
    """An HTTP address without its credentials, then its login and its password.

    Raises:
        SettingsError: it is no HTTP address. The error shows it without credentials.
    """
    shown = re.sub(r"^([a-z][\w+.-]*://)?.*@", r"\1", url, flags=re.IGNORECASE | re.DOTALL)
    shown = re.split(r"[?#]", shown, maxsplit=1)[0]
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # an invalid port or address, for example where the password has a slash
        good = False
    if not good or "@" in parts.path + parts.query + parts.fragment:
        raise SettingsError(
            f"{variable} is no server's address",
            found=shown,
            expected="http://... or https://...; in a login or password, / ? # @ are written %2F %3F %23 %40",
        )
    bare = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))
    return bare, unquote(parts.username or "") or None, unquote(parts.password or "") or None


def _s3(values: Mapping[str, str]) -> S3Settings:
    access, secret = values.get("AWS_ACCESS_KEY_ID"), values.get("AWS_SECRET_ACCESS_KEY")
    if (access is None) != (secret is None):
        missing = "AWS_ACCESS_KEY_ID" if access is None else "AWS_SECRET_ACCESS_KEY"
        raise SettingsError("S3 is half-set", found="DATA_URI", expected=f"{missing} as well")
    # Without our key boto's chain finds both keys and token; a token without our key is not ours.
    token = values.get("AWS_SESSION_TOKEN") if access else None
    return S3Settings(
        endpoint=values.get("AWS_ENDPOINT_URL"),
        access_key=access,
        secret_key=secret,
        region=values.get("AWS_REGION"),
        session_token=token,
    )
