from typing import Any

import dagster as dg
import pytest

from pipeline_assets.errors import ContractError, TransientError
from pipeline_assets.io_managers.errors import MAX_RETRIES, translate_errors
from pipeline_assets.stores.marts.greenplum import MartStore
from pipeline_assets.stores.marts.staged import MartLoad
from tests.examples import orders
from tests.workbench import Workbench


def test_an_error_for_people_fails_at_once_with_its_message() -> None:
    with pytest.raises(dg.Failure) as failed, translate_errors(0):
        raise ContractError("the file lacks a column", column="price")
    assert failed.value.description == "the file lacks a column\n  column:    price"
    assert not failed.value.allow_retries


def test_a_passing_fault_is_tried_again_later_and_later() -> None:
    for before, wait in ((0, 1), (3, 8)):
        with pytest.raises(dg.RetryRequested) as again, translate_errors(before):
            raise TransientError("the server does not answer")
        assert (again.value.max_retries, again.value.seconds_to_wait) == (MAX_RETRIES, wait)


def test_a_passing_fault_where_nothing_is_tried_again_fails() -> None:
    with pytest.raises(dg.Failure, match="does not answer"), translate_errors(None):
        raise TransientError("the server does not answer")


def test_other_errors_pass_as_they_are() -> None:
    with pytest.raises(KeyError), translate_errors(0):
        raise KeyError("a mistake of ours")


def test_a_run_survives_a_passing_fault_of_a_store(place: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    begin, calls = MartStore.begin, []

    def fails_once(self: MartStore, *arguments: Any) -> MartLoad:
        calls.append(arguments)
        if len(calls) == 1:
            raise TransientError("the server is restarting")
        return begin(self, *arguments)

    monkeypatch.setattr(MartStore, "begin", fails_once)
    place.put("train", "2026-01", orders(200))
    place.succeed("train", "2026-01")
    assert len(place.mart("train_input")) == 200
    assert len(calls) == 2
