"""What CONTRIBUTING, CHANGELOG and SECURITY name is there."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PATHS = re.compile(r"`((?:pipeline_assets|tests|docs|deploy|benchmarks)/[\w./-]+|[\w-]+\.(?:toml|md|lock|yaml))`")


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"])
def test_paths_that_a_document_names_are_there(name: str) -> None:
    named = {path for path in PATHS.findall((ROOT / name).read_text()) if path not in {"defs.yaml", "page.py"}}
    somewhere = {path.name for path in (ROOT / "pipeline_assets").rglob("*.yaml")}
    missing = {path for path in named if not (ROOT / path).exists() and path not in somewhere}
    assert missing == set()


def test_make_verbs_and_sub_commands_that_a_document_names_are_there() -> None:
    from pipeline_assets.cli.main import main

    text = "".join((ROOT / name).read_text() for name in ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"))
    verbs = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|    )(?:REQUIRE_SERVERS=1 )?make ([a-z-]+)", text)) - verbs == set()
    commands = set(main.list_commands(main.make_context("pipeline-assets", ["task"])))
    assert set(re.findall(r"`pipeline-assets ([a-z]+)", text)) - commands == set()


def test_the_changelog_has_the_version_of_the_project() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    text = (ROOT / "CHANGELOG.md").read_text()
    assert f"## [{version}] - " in text
    assert text.index("## [Unreleased]") < text.index(f"## [{version}]")


def test_those_who_import_the_package_get_its_types() -> None:
    assert (ROOT / "pipeline_assets" / "py.typed").is_file()
