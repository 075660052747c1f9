from hypothesis import given
from hypothesis import strategies as st

from pipeline_assets.mart_page.route import Route

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@given(TEXT, TEXT, st.integers(0, 10**17), TEXT)
def test_an_address_comes_back_as_it_was(task: str, batch: str, row: int, value: str) -> None:
    route = Route("input", task, batch, row, {"w1v": value})
    assert Route.parse(route.query()) == route


@given(st.text())
def test_any_address_is_some_place(query: str) -> None:
    Route.parse(query)


def test_a_row_is_a_number() -> None:
    for written in ("-1", "1.5", "٣", "9" * 40, "1 or 1=1", ""):
        assert Route.parse(f"?row={written}").row is None
