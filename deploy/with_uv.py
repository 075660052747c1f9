"""Runs uv against the package indexes that pip is configured with; uv itself comes from the lock file, by hash.

``python deploy/with_uv.py .venv pip install --require-hashes -r requirements.lock`` makes the environment ``.venv`` if
it is not there, lets pip install uv into it, and goes on as uv. It needs nothing but Python's standard library.
Variables of uv that are set are left as they are; nothing is written to any configuration.
"""

import ast
import os
import re
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping
from pathlib import Path

LOCK = Path(__file__).parents[1] / "requirements.lock"
# What uv calls pip's settings. pip separates several values by blanks, uv some of them by commas.
_NAMES: Mapping[str, tuple[str, str]] = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "no-index": ("UV_NO_INDEX", " "),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "client-cert": ("SSL_CLIENT_CERT", " "),
    "proxy": ("ALL_PROXY", " "),
    "timeout": ("UV_HTTP_TIMEOUT", " "),
}


def pinned(lock: str, package: str) -> str:
    """The lines of one package in the text of a lock file: its version, marker and hashes.

    Raises:
        SystemExit: the lock file does not have it.
    """
    found = re.search(rf"^{re.escape(package)}==(?:[^\n]*\\\n)*[^\n]*", lock, re.MULTILINE)
    if found is None:
        raise SystemExit(f"{LOCK} has no {package}; make lock puts it there")
    return found[0] + "\n"


def variables(listed: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Variables of uv for what pip is configured with.

    Args:
        listed: what ``pip config list`` says: lines such as ``global.index-url='https://...'``.
        environment: of this process; what it says to uv already is not among the result.
    """
    settings: dict[tuple[int, str], str] = {}
    for line in listed.splitlines():
        where, found, value = line.partition("=")
        section, _, name = where.rpartition(".")
        # A variable beats the section of a command, and that the global one.
        rank = {"global": 0, "install": 1, ":env:": 2}.get(section)
        if found and rank is not None:
            settings[rank, name] = str(ast.literal_eval(value))
    wanted: dict[str, str] = {}
    for (_, name), value in sorted(settings.items()):
        if name in _NAMES:
            variable, separator = _NAMES[name]
            wanted[variable] = separator.join(value.split())
    # pip takes the best version of all indexes; so does uv, if it is told to. The lock's hashes hold either way.
    wanted["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return {name: value for name, value in wanted.items() if name not in environment}


def _uv(environment: Path) -> Path:
    """The lock's uv in an environment, which is made if it is not there."""
    programs = environment / "bin"
    if not (programs / "pip").exists():
        venv.create(environment, with_pip=True, symlinks=True)
    wanted = pinned(LOCK.read_text(encoding="utf-8"), "uv")
    version = wanted.partition("==")[2].split()[0]
    uv = programs / "uv"
    known = subprocess.run([uv, "--version"], capture_output=True, text=True, check=True).stdout if uv.exists() else ""
    if known.split()[1:2] != [version]:
        sys.stderr.write(f"Installing uv {version} ...\n")
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as only:
            only.write(wanted)
            only.flush()
            pip = [programs / "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
            subprocess.run([*pip, "--require-hashes", "-r", only.name], check=True)
    return uv


def main(arguments: list[str]) -> None:
    """Becomes uv.

    Args:
        arguments: the environment's folder, then uv's own arguments.
    """
    environment = Path(arguments[0]).resolve()
    uv = _uv(environment)
    listed = subprocess.run([environment / "bin" / "pip", "config", "list"], capture_output=True, text=True, check=True)
    own = {**os.environ, "VIRTUAL_ENV": str(environment)}
    os.execve(uv, ["uv", *arguments[1:]], own | variables(listed.stdout, os.environ))  # noqa: S606


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except subprocess.CalledProcessError as error:
        sys.exit(f"{' '.join(map(str, error.cmd))} failed:\n{error.stderr or ''}".rstrip(":\n"))
