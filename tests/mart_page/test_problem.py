import pytest

from pipeline_assets.errors import StoreError, TransientError
from pipeline_assets.mart_page.problem import Problem, attempt


def raise_(error: Exception) -> int:
    raise error


def test_an_error_for_people_becomes_what_it_says() -> None:
    assert attempt(lambda value: value + 1, 1) == 2
    found = attempt(raise_, StoreError("the store refused", found="<b>no</b>"))
    assert found == Problem("the store refused\n  found:     <b>no</b>")
    assert isinstance(attempt(raise_, TransientError("no answer")), Problem)


def test_an_error_of_ours_goes_through() -> None:
    with pytest.raises(KeyError):
        attempt(raise_, KeyError("a bug"))
