import pytest

from pipeline_assets.mart_page.language import Texts
from pipeline_assets.mart_page.rules import rule


@pytest.mark.parametrize(
    ("name", "russian"),
    [
        ("price: null", "price: нет значения"),
        ("country: not allowed", "country: недопустимое значение"),
        ("price: breaks price > 0", "price: нарушено price > 0"),
        ("day: not date", "day: не date"),
        ("a: b: null", "a: b: нет значения"),
        ("Ставка, %: breaks {x}", "Ставка, %: нарушено {x}"),
        ("key (a, b): repeats", "ключ (a, b): повторяется"),
        ("something new", "something new"),
    ],
)
def test_rules_are_named_in_russian_and_in_english_as_the_record_has_them(name: str, russian: str) -> None:
    assert rule(name, Texts("ru")("batches")) == russian
    assert rule(name, Texts("en")("batches")) == name
