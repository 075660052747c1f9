import pytest

from pipeline_assets.mart_page.chart_style import counts_axis, shares_axis
from pipeline_assets.mart_page.language import Formats


@pytest.mark.parametrize(
    ("low", "high", "english"),
    [
        (0.0, 1.0, ["0%", "20%", "40%", "60%", "80%", "100%"]),
        (0.0, 0.0013, ["0%", "0.05%", "0.1%", "0.15%"]),
        (0.31, 0.42, ["30%", "35%", "40%", "45%"]),
        (0.0, 0.0, ["0%"]),
    ],
)
def test_ticks_of_shares_are_told_apart(low: float, high: float, english: list[str]) -> None:
    found = shares_axis(low, high, Formats("en"))
    assert found["ticktext"] == english
    assert found["tickvals"][0] <= low
    assert found["tickvals"][-1] >= high - 1e-9
    assert shares_axis(low, high, Formats("ru"))["ticktext"][0].endswith("\u00a0%")


def test_few_rows_are_counted_in_whole_numbers() -> None:
    assert counts_axis(1) == {"dtick": 1}
    assert counts_axis(1000) == {}
