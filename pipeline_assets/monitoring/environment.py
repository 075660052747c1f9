"""What a training ran on: the code and its lock, the installed packages, Python, the processor; and what differs."""

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

_CHECKOUT = Path(__file__).parents[2]
_CPU = Path("/proc/cpuinfo")
_FLAGS = ("flags", "Features")  # as Linux names them on x86 and on ARM
_NAMED = 8  # flags or packages that a sentence names


@dataclass(frozen=True)
class Environment:
    """What the result of a computation may depend on beside its input.

    Attributes:
        system: operating system and machine, such as ``Linux x86_64``.
        python: its version.
        processor: its model, where the system tells.
        cpu_flags: the instructions that it knows, in order; empty where the system does not tell.
        cores: that the process may use. Trainers use the task's ``training.threads``, whatever there are.
        packages: version of every installed package by its name.
        code_commit: of the checkout, with ``+`` if files were changed; ``None`` where it is not known.
        lock_sha256: of ``requirements.lock``; ``None`` where the package is installed without its checkout.
    """

    system: str
    python: str
    processor: str = ""
    cpu_flags: tuple[str, ...] = ()
    cores: int | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    code_commit: str | None = None
    lock_sha256: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain values; :meth:`from_json` is its inverse."""
        return {**asdict(self), "cpu_flags": list(self.cpu_flags), "packages": dict(self.packages)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Environment":
        """The inverse of :meth:`to_json`."""
        return cls(**{**data, "cpu_flags": tuple(data["cpu_flags"])})


@cache
def here() -> Environment:
    """The environment of this process."""
    cpu = _processor()
    return Environment(
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        processor=cpu.get("model name", platform.processor()),
        cpu_flags=tuple(sorted(next((cpu[name] for name in _FLAGS if name in cpu), "").split())),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        packages=_packages(sys.path),
        code_commit=code_commit(),
        lock_sha256=lock_sha256(),
    )


def differences(then: Environment, now: Environment) -> dict[str, str]:
    """What is other now, one sentence by the name of each part; the number of cores is left out.

    The model of the processor alone is no difference where its flags are the same and known.

    >>> differences(Environment("Linux x86_64", "3.11.2"), Environment("Linux x86_64", "3.12.1"))
    {'python': 'Python 3.12.1 here, 3.11.2 at training'}
    """
    found = {
        "system": _other("", then.system, now.system),
        "python": _other("Python ", then.python, now.python),
        "cpu_flags": _flags(then, now),
        "packages": _package_differences(then.packages, now.packages),
        "code_commit": _other("code commit ", then.code_commit, now.code_commit),
        "lock_sha256": _other("requirements.lock with sha256 ", then.lock_sha256, now.lock_sha256),
    }
    return {name: text for name, text in found.items() if text}


@cache
def code_commit() -> str | None:
    """``PIPELINE_COMMIT`` if an image sets it, else the commit of the checkout, with ``+`` if files were changed."""
    if "PIPELINE_COMMIT" in os.environ:
        return os.environ["PIPELINE_COMMIT"]
    if not (_CHECKOUT / ".git").exists():
        return None
    try:
        head = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{head}+" if changed else head


def lock_sha256() -> str | None:
    """Sha256 of ``requirements.lock``; ``None`` where the package is installed without its checkout."""
    lock = _CHECKOUT / "requirements.lock"
    return hashlib.sha256(lock.read_bytes()).hexdigest() if lock.exists() else None


def _git(*arguments: str) -> str:
    return subprocess.run(  # noqa: S603 - fixed arguments
        ["git", "-C", str(_CHECKOUT), *arguments],  # noqa: S607 - the user's own git
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def _processor() -> dict[str, str]:
    """The facts that Linux gives of the first processor."""
    if not _CPU.exists():
        return {}
    first = _CPU.read_text(encoding="utf-8", errors="replace").split("\n\n", 1)[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _packages(path: Sequence[str]) -> dict[str, str]:
    """Installed packages by the names of their ``.dist-info`` folders, which takes no reading of files."""
    found: dict[str, str] = {}
    for place in reversed(path):
        # Of several installations Python imports the first one on its path.
        for info in sorted(Path(place or ".").glob("*.dist-info")):
            name, _, version = info.name.removesuffix(".dist-info").partition("-")
            found[name.lower().replace("_", "-").replace(".", "-")] = version
    return dict(sorted(found.items()))


def _other(what: str, then: str | None, now: str | None) -> str:
    return "" if then == now else f"{what}{now or 'unknown'} here, {then or 'unknown'} at training"


def _flags(then: Environment, now: Environment) -> str:
    if then.cpu_flags == now.cpu_flags:
        return "" if then.cpu_flags else _other("processor ", then.processor, now.processor)
    missing, more = (sorted(set(a.cpu_flags) - set(b.cpu_flags)) for a, b in ((then, now), (now, then)))
    parts = [f"without {_listed(missing)}" if missing else "", f"with {_listed(more)}" if more else ""]
    return f"other CPU flags here: {' and '.join(part for part in parts if part)}"


def _package_differences(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    changed = [
        f"{name} {now.get(name, 'not installed')} (at training {then.get(name, 'not installed')})"
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    ]
    return f"other packages here: {_listed(changed)}" if changed else ""


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"
