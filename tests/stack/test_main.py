import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline_assets.stack.__main__ import stack


def test_where_tarantool_is_missing_up_says_how_to_install_it_and_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if found := shutil.which("setpriv"):  # all but Tarantool is there
        (tmp_path / "setpriv").symlink_to(found)
    monkeypatch.setenv("PATH", str(tmp_path))
    folder, env_file = tmp_path / "stack", tmp_path / ".env.stack"
    done = CliRunner().invoke(stack, ["--folder", str(folder), "--env-file", str(env_file), "up"])
    assert done.exit_code == 2
    assert "the program tarantool is not on the PATH" in done.stderr
    assert "apt-get install tarantool" in done.stderr
    assert not env_file.exists()
    assert not (folder / "supervisord.pid").exists()
    assert not (folder / "postgres").exists()


def test_run_without_servers_says_what_starts_them(tmp_path: Path) -> None:
    done = CliRunner().invoke(stack, ["--folder", str(tmp_path), "run", "true"])
    assert done.exit_code == 2
    assert "make stack" in done.stderr
