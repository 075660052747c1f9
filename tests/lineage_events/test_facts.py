import pytest

from pipeline_assets.lineage_events.facts import DatasetName, dataset_name


@pytest.mark.parametrize(
    ("uri", "namespace", "name", "kind"),
    [
        ("/data/flights/train/2013.parquet", "file", "/data/flights/train/2013.parquet", "FILE"),
        ("s3://lake/data/flights/a?b#c 1.parquet", "s3://lake", "data/flights/a?b#c 1.parquet", "FILE"),
        ("postgresql://db:5432/dwh/marts.flights_input", "postgres://db:5432", "dwh.marts.flights_input", "TABLE"),
        ("postgresql://[::1]:5432/d%20w/m.%D1%82", "postgres://[::1]:5432", "d w.m.т", "TABLE"),
        ("tarantool://tt:3301/FLIGHTS?batch=2013", "tarantool://tt:3301", "FLIGHTS", "TABLE"),
        (
            "postgresql://%2Fhome%2Fme%2Fdata/postgres/marts.t",
            "postgres://%2Fhome%2Fme%2Fdata",
            "postgres.marts.t",
            "TABLE",
        ),
    ],
)
def test_datasets_have_the_names_that_other_tools_give_them(uri: str, namespace: str, name: str, kind: str) -> None:
    assert dataset_name(uri) == (DatasetName(namespace, name), kind)


def test_a_login_is_no_part_of_a_name() -> None:
    assert "hidden" not in repr(dataset_name("postgresql://me:hidden@db:5432/dwh/m.t"))
