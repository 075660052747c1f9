import pytest

from pipeline_assets.errors import ContractError, PipelineError, located


def test_facts_come_in_one_order_whatever_the_callers() -> None:
    error = PipelineError("no such batch", available=["2013-10"], batch="2013-1", task="flights")
    assert str(error).splitlines() == [
        "no such batch", "  task:      flights", "  batch:     2013-1", "  available: 2013-10"
    ]  # fmt: skip


def test_an_unknown_fact_is_the_programmers_error() -> None:
    with pytest.raises(TypeError, match="not colour"):
        PipelineError("wrong", colour="red")


def test_nothing_available_is_said() -> None:
    assert "available: nothing" in str(PipelineError("no batch", available=[]))


def test_a_place_is_added_on_the_way_up_and_what_is_known_stays() -> None:
    with pytest.raises(ContractError) as refused, located({"task": "flights", "batch": "outer"}):
        raise ContractError("broken", batch="inner", column="price")
    assert refused.value.facts == {"task": "flights", "batch": "inner", "column": "price"}
    assert isinstance(refused.value.__cause__, ContractError)
