import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT: dict[str, Any] = runpy.run_path(str(ROOT / "deploy" / "with_uv.py"))
LISTED = """
global.index-url='https://one.example/simple'
global.extra-index-url='https://two.example/simple\\nhttps://three.example/simple'
global.find-links='/wheels /more wheels'
install.cert='/etc/own.pem'
global.cert='/etc/everybody.pem'
global.trusted-host='one.example'
global.require-virtualenv='true'
freeze.exclude='something'
:env:.index-url='https://me:secret@four.example/simple'
"""


def test_uv_gets_the_indexes_of_pip() -> None:
    assert SCRIPT["variables"](LISTED, {}) == {
        "UV_DEFAULT_INDEX": "https://me:secret@four.example/simple",
        "UV_INDEX": "https://two.example/simple https://three.example/simple",
        "UV_FIND_LINKS": "/wheels,/more,wheels",
        "SSL_CERT_FILE": "/etc/own.pem",
        "UV_INSECURE_HOST": "one.example",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


def test_what_is_said_to_uv_itself_counts_more() -> None:
    found = SCRIPT["variables"](LISTED, {"UV_DEFAULT_INDEX": "https://mine.example", "SSL_CERT_FILE": "/mine.pem"})
    assert {"UV_DEFAULT_INDEX", "SSL_CERT_FILE"} & set(found) == set()
    assert SCRIPT["variables"]("", {}) == {"UV_INDEX_STRATEGY": "unsafe-best-match"}


def test_only_uv_is_taken_from_the_lock_with_its_hashes() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    lines = SCRIPT["pinned"](lock, "uv").splitlines()
    assert lines[0].startswith("uv==")
    assert len(lines) > 1
    assert all(line.strip().startswith("--hash=sha256:") for line in lines[1:])
    with pytest.raises(SystemExit, match="has no nothing-like-it"):
        SCRIPT["pinned"](lock, "nothing-like-it")


def test_the_locks_have_every_library_that_the_project_names() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    names = [line.split(">")[0].split("=")[0].split("<")[0] for line in named]
    trainers = {"keras", "lightgbm", "tensorflow", "tensorflow-cpu", "torch", "xgboost"}
    lock, more = (f"\n{(ROOT / name).read_text()}" for name in ("requirements.lock", "requirements-trainers.lock"))
    assert [name for name in names if f"\n{name}==" not in more] == []
    assert {name for name in names if f"\n{name}==" not in lock} == trainers
