"""Which servers the pipeline works with: the environment decides, and unset means embedded."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pipeline_assets.errors import SettingsError

PACKAGED_TASKS = Path(__file__).resolve().parent / "defs"


@dataclass(frozen=True)
class S3Settings:
    """An S3 endpoint; credentials left out come from boto's own chain (profile, instance role)."""

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
    """An MLflow tracking server; MLflow itself reads ``MLFLOW_S3_ENDPOINT_URL`` from the environment."""

    url: str
    login: str | None
    password: str | None = field(repr=False)


@dataclass(frozen=True)
class Settings:
    """Everything the environment says. A system that is ``None`` runs embedded, under :attr:`state`.

    Attributes:
        data_uri: ``s3://bucket/prefix`` or a folder.
        state: folder of whatever runs embedded.
        schema: of the marts.
        tasks: folders whose sub-folders are tasks: the packaged example's, then those of ``PIPELINE_TASKS``.
    """

    data_uri: str
    state: Path
    schema: str
    s3: S3Settings | None
    greenplum: DatabaseSettings | None
    tarantool: TarantoolSettings | None
    mlflow: MlflowSettings | None
    tasks: tuple[Path, ...] = (PACKAGED_TASKS,)

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None, root: Path | None = None) -> Self:
        """Reads the variables that docs name.

        Args:
            env: the environment; the process's own by default.
            root: what relative folders start from; the working directory by default.

        Raises:
            SettingsError: a server is half-set (the missing variables are named) or a value cannot be one.
        """
        values = {name: value for name, value in (os.environ if env is None else env).items() if value}
        root = Path.cwd() if root is None else root
        data_uri = values.get("DATA_URI", "data")
        if "://" in data_uri and not data_uri.startswith("s3://"):
            raise SettingsError("DATA_URI names no place we can read", found=data_uri, expected="s3://... or a folder")
        if "://" not in data_uri:
            data_uri = str((root / data_uri).resolve())
        return cls(
            data_uri=data_uri.rstrip("/"),
            state=(root / values.get("PIPELINE_STATE", ".pipeline")).resolve(),
            schema=values.get("GREENPLUM_SCHEMA", "marts"),
            s3=_s3(values) if data_uri.startswith("s3://") else None,
            greenplum=_greenplum(values),
            tarantool=_tarantool(values),
            mlflow=_mlflow(values),
            tasks=_tasks(values, root),
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


def _server(
    values: Mapping[str, str], prefix: str, names: tuple[str, ...], defaults: Mapping[str, str]
) -> dict[str, str] | None:
    """The variables of one server: none set is ``None``, some but not all an error."""
    given = {name: values[f"{prefix}_{name}"] for name in names if f"{prefix}_{name}" in values}
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
    got = _server(values, "GREENPLUM", ("HOST", "PORT", "DATABASE", "LOGIN", "PASSWORD"), {"PORT": "5432"})
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
    got = _server(values, "TARANTOOL", ("HOST", "PORT", "LOGIN", "PASSWORD"), {"PORT": "3301"})
    if got is None:
        return None
    return TarantoolSettings(
        host=got["HOST"], port=_port("TARANTOOL", got["PORT"]), login=got["LOGIN"], password=got["PASSWORD"]
    )


def _mlflow(values: Mapping[str, str]) -> MlflowSettings | None:
    url = values.get("MLFLOW_URL") or values.get("MLFLOW_TRACKING_URI")
    login, password = values.get("MLFLOW_LOGIN"), values.get("MLFLOW_PASSWORD")
    if url is None:
        if login or password:
            raise SettingsError(
                "MLflow is half-set", found="MLFLOW_LOGIN or MLFLOW_PASSWORD", expected="MLFLOW_URL as well"
            )
        return None
    if (login is None) != (password is None):
        missing = "MLFLOW_LOGIN" if login is None else "MLFLOW_PASSWORD"
        raise SettingsError("MLflow is half-set", found="MLFLOW_URL", expected=f"{missing} as well")
    if urlsplit(url).scheme not in ("http", "https"):
        raise SettingsError("MLFLOW_URL is no server's address", found=url, expected="http://... or https://...")
    return MlflowSettings(url=url, login=login, password=password)


def _s3(values: Mapping[str, str]) -> S3Settings:
    access, secret = values.get("AWS_ACCESS_KEY_ID"), values.get("AWS_SECRET_ACCESS_KEY")
    if (access is None) != (secret is None):
        missing = "AWS_ACCESS_KEY_ID" if access is None else "AWS_SECRET_ACCESS_KEY"
        raise SettingsError("S3 is half-set", found="DATA_URI", expected=f"{missing} as well")
    # Without a key of its own boto's chain finds keys and token together; a token alone belongs to no key of ours.
    token = values.get("AWS_SESSION_TOKEN") if access else None
    return S3Settings(
        endpoint=values.get("AWS_ENDPOINT_URL"),
        access_key=access,
        secret_key=secret,
        region=values.get("AWS_REGION"),
        session_token=token,
    )
