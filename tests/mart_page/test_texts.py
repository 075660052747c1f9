"""What the page says is there in both languages, with the same things filled in."""

from importlib.resources import files
from string import Formatter
from typing import Any

import pytest
import yaml

PAGE = files("pipeline_assets.mart_page")
FOLDERS = {
    "frame": PAGE,
    **{
        folder.name: folder
        for folder in sorted(PAGE.joinpath("views").iterdir(), key=lambda folder: folder.name)
        if folder.is_dir() and folder.name != "__pycache__"
    },
}
VIEWS = list(FOLDERS)
PLURALS = {"en": {"one", "other"}, "ru": {"one", "few", "many", "other"}}


def read(view: str, language: str) -> dict[str, Any]:
    path = FOLDERS[view].joinpath(f"texts.{language}.yaml")
    texts: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return texts


def fields(text: object) -> set[str]:
    forms = text.values() if isinstance(text, dict) else [text]
    return {name for form in forms for _, name, _, _ in Formatter().parse(str(form)) if name}


@pytest.mark.parametrize("view", VIEWS)
def test_both_languages_say_the_same_things(view: str) -> None:
    english, russian = read(view, "en"), read(view, "ru")
    assert list(english) == list(russian)
    assert {key: fields(text) for key, text in english.items()} == {key: fields(text) for key, text in russian.items()}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("language", PLURALS)
def test_plurals_have_forms_of_their_language(view: str, language: str) -> None:
    for key, text in read(view, language).items():
        if isinstance(text, dict):
            assert {"one", "other"} <= set(text) <= PLURALS[language], key
