import pyarrow as pa
import pytest

from pipeline_assets.errors import StoreError
from pipeline_assets.stores.marts.definition import MartTable, check_names, stored_names

CYRILLIC = "Расстояние между аэропортами, км"


@pytest.mark.parametrize("name", ["", "x" * 64, "ю" * 32, "a\0b"])
def test_names_that_do_not_fit_are_refused(name: str) -> None:
    with pytest.raises(StoreError, match="a name does not fit the database"):
        check_names([name])
    check_names(["x" * 63, "ю" * 31])


def test_a_name_that_the_database_cannot_have_gets_an_alias_and_others_stay() -> None:
    assert len(CYRILLIC.encode()) == 60
    long = f"feature_{CYRILLIC}"
    names = stored_names(["batch", "xmin", "Xmin", "ctid", "oid", CYRILLIC, long])
    assert names == {
        "batch": "batch",
        "xmin": "xmin_",
        "Xmin": "Xmin",
        "ctid": "ctid_",
        "oid": "oid_",
        CYRILLIC: CYRILLIC,
        long: names[long],
    }
    assert names[long].startswith("feature_Расстояние между аэропо")
    check_names(names.values())


def test_aliases_are_the_same_each_time_and_never_another_column_s_name() -> None:
    same = ["ю" * 40 + end for end in "абв"]
    first = stored_names([*same, "xmin", "xmin_"])
    assert len(set(first.values())) == len(first)
    assert first["xmin_"] == "xmin_"
    assert first == stored_names([*same, "xmin", "xmin_"])
    taken = first[same[0]]
    again = stored_names([same[0], taken])
    assert again[taken] == taken
    assert again[same[0]] != taken
    check_names([*first.values(), *again.values()])


def test_a_stored_table_explains_its_aliases() -> None:
    columns = [("batch", pa.string()), ("xmin", pa.int64()), ("n", pa.int64())]
    table = MartTable(
        "m", pa.schema(columns), "", {"xmin": "Least", "n": "Number"}, ("batch", "xmin"), (("xmin", "n"),)
    )
    stored = table.stored
    assert stored.schema.names == ["batch", "xmin_", "n"]
    assert stored.column_descriptions == {"xmin_": "Column «xmin» of the file. Least", "n": "Number"}
    assert (stored.key, stored.indexes) == (("batch", "xmin_"), (("xmin_", "n"),))
    assert table.looked_up_by == ("batch", "xmin", "n")
