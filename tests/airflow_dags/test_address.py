from typing import Any

import pytest
from dagster_runs.address import Address
from dagster_runs.compat import Connection, connection
from dagster_runs.errors import DagsterError


def address(extra: dict[str, Any] | None = None, **parts: Any) -> Address:
    return Address.of(Connection(**{"conn_id": "dagster_default", "conn_type": "http", **parts}), extra or {})


@pytest.mark.parametrize(
    ("parts", "url"),
    [
        ({"host": "dagster", "port": 3000}, "http://dagster:3000"),
        ({"host": "dagster", "conn_type": "https"}, "https://dagster"),
        ({"host": "dagster", "conn_type": "generic"}, "http://dagster"),
        ({"host": "dagster", "schema": "https", "port": 8443}, "https://dagster:8443"),
        ({"host": "https://dagster.example/"}, "https://dagster.example"),
    ],
)
def test_the_scheme_may_stand_in_any_of_its_places(parts: dict[str, Any], url: str) -> None:
    assert address(**parts).url == url


def test_a_uri_is_a_connection_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_DAGSTER_DEFAULT", "https://:secret@dagster:3000/?path=%2Fprod%2F")
    found = Address.of(*connection("dagster_default"))
    assert found.url == "https://dagster:3000/prod"
    assert found.headers == {"Authorization": "Bearer secret"}


def test_the_token_goes_into_the_header_that_is_wanted_and_is_not_shown() -> None:
    found = address({"header": "Dagster-Cloud-Api-Token"}, host="dagster", password="secret")
    assert found.headers == {"Dagster-Cloud-Api-Token": "secret"}
    assert "secret" not in repr(found)
    assert address(host="dagster").headers == {}


def test_links_lead_where_people_find_it() -> None:
    assert address(host="dagster").run("a") == "http://dagster/runs/a"
    found = address({"ui": "https://dagster.example/"}, host="10.0.0.1")
    assert found.run("a") == "https://dagster.example/runs/a"
    assert found.runs({"airflow/dag_id": "x y"}) == (
        "https://dagster.example/runs?q%5B0%5D=tag%3Aairflow%2Fdag_id%3Dx+y"
    )


def test_what_is_missing_or_unknown_is_named() -> None:
    with pytest.raises(DagsterError, match="connection dagster_default has no host"):
        address()
    with pytest.raises(DagsterError, match="extra token_header; expected: header, path, ui"):
        address({"token_header": "X"}, host="dagster")
