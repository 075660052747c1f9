"""Which code made a model: the commit of the checkout and the hash of its lock file, where they are known."""

import hashlib
import os
import subprocess
from functools import cache
from pathlib import Path

_CHECKOUT = Path(__file__).parents[2]


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
