"""MLflow's credentials: an MLflow plug-in adds them to each request, so that no environment variable holds them."""

import os
from importlib.metadata import entry_points
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mlflow.tracking.request_auth.abstract_request_auth_provider import RequestAuthProvider
from requests.auth import AuthBase, HTTPBasicAuth

from pipeline_assets.errors import StoreError

if TYPE_CHECKING:
    from requests import PreparedRequest

# The plug-in's name: pyproject.toml registers it, and MLflow reads it from its variable.
PLUGIN = "pipeline-assets"
_VARIABLE = "MLFLOW_TRACKING_AUTH"
_GROUP = "mlflow.request_auth_provider"
_PORTS = {"http": 80, "https": 443}

Server = tuple[str, str | None, int | None]

_logins: dict[Server, HTTPBasicAuth] = {}


def log_in(url: str, login: str, password: str) -> None:
    """From now on this process sends the login with every request to the server, and to no other.

    Raises:
        StoreError: the package is installed without its plug-in.
    """
    if not entry_points(group=_GROUP, name=PLUGIN):
        raise StoreError(
            "the login to MLflow cannot be sent",
            found=f"pipeline_assets is installed without its entry point {PLUGIN}",
            do="install the package again: make setup, or pip install of it",
        )
    # Bytes, since requests would otherwise send latin-1.
    _logins[_server(url)] = HTTPBasicAuth(login.encode(), password.encode())
    os.environ[_VARIABLE] = PLUGIN  # a name, not a secret; in a child process it has no effect


class LoginProvider(RequestAuthProvider):
    """Gives MLflow the authentication of a request."""

    def get_name(self) -> str:
        """The name that ``MLFLOW_TRACKING_AUTH`` gives."""
        return PLUGIN

    def get_auth(self) -> AuthBase:
        """Called by MLflow before every request."""
        return _Login()


class _Login(AuthBase):
    def __call__(self, r: "PreparedRequest") -> "PreparedRequest":
        login = _logins.get(_server(r.url or ""))
        return r if login is None else login(r)


def _server(url: str) -> Server:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)
