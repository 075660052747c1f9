"""The contract's SQL over real parquet files; how a whole batch is judged is shown in tests/stores/test_raw.py."""

import math
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_assets.engine.duckdb.scan import scan
from pipeline_assets.errors import ContractError
from pipeline_assets.task import sql
from pipeline_assets.task.contract import BROKEN, Contract, bits, of_file
from pipeline_assets.task.spec import TaskSpec
from tests.examples import SHOP, orders, shop, with_column

MIDNIGHT = datetime(2026, 1, 31)


def one_column(kind: str, **more: Any) -> TaskSpec:
    """A task whose contract is one nullable column ``x``."""
    return shop(
        key=None,
        checks=None,
        training=None,
        output=None,
        columns={"x": {"type": kind, "nullable": True, **more}},
        target={"expression": "x is null"},
        features={"categorical": {"x": "x is null"}},
    )


def judged(task: TaskSpec, table: pa.Table, folder: Path) -> list[str]:
    """The reason of each row, '' for the accepted ones."""
    pq.write_table(table, folder / "t.parquet")
    with scan([folder / "t.parquet"], folder / "spill") as view:
        contract = of_file(task, "train", view.columns)
        broken = view.stream(contract.check_query()).read_all()
        flagged = [any(row[f"{BROKEN}{word}"] for word in range(contract.words)) for row in broken.to_pylist()]
        view.connection.execute("set variable rejected = ?::BIT", ["1" * table.num_rows])
        reasons: list[str] = view.stream(contract.rejected_query()).read_all()[contract.own("reason")].to_pylist()
    assert [bool(reason) for reason in reasons] == flagged, "the bits and the sentences disagree"
    return reasons


def test_rows_that_keep_the_contract_have_no_reason(tmp_path: Path) -> None:
    assert set(judged(shop(), orders(12), tmp_path)) == {""}


@pytest.mark.parametrize(
    ("column", "values", "reason"),
    [
        ("price", [-1.5], "price: -1.5 breaks price > 0"),
        ("price", [None], "price: null, which the contract forbids"),
        ("country", ["US"], "country: US is not one of DE, FR, RU"),
        ("note", ["free"], "no_free_notes: breaks note <> 'free'"),
    ],
)
def test_a_broken_rule_says_what_was_found(tmp_path: Path, column: str, values: list[Any], reason: str) -> None:
    table = with_column(orders(1), column, values, orders(1).schema.field(column).type)
    assert judged(shop(), table, tmp_path) == [reason]


def test_all_reasons_of_a_row_are_named(tmp_path: Path) -> None:
    table = with_column(with_column(orders(1), "price", [-1.0]), "country", ["US"])
    assert judged(shop(), table, tmp_path) == ["country: US is not one of DE, FR, RU; price: -1.0 breaks price > 0"]


def test_a_contract_of_more_than_64_rules_finds_each(tmp_path: Path) -> None:
    columns = {f"c{number}": {"type": "int64", "check": f"c{number} > 0"} for number in range(70)}
    task = shop(
        key=None,
        checks=None,
        training=None,
        output=None,
        columns=columns,
        target={"expression": "c0 > 1"},
        features={"numeric": {"c0": "c0"}},
    )
    rows = [{name: -1 if place == row else 1 for place, name in enumerate(columns)} for row in range(70)]
    reasons = judged(task, pa.Table.from_pylist(rows), tmp_path)
    assert reasons == [f"c{row}: -1 breaks c{row} > 0" for row in range(70)]


@pytest.mark.parametrize(
    ("kind", "values", "found", "bad"),
    [
        ("int64", [1, None, 2**40], pa.int64(), []),
        ("int64", [1, 2], pa.int8(), []),
        ("int8", [1, 127, 128, -129], pa.int64(), [2, 3]),
        ("int64", [1.0, 1.5, float("nan"), float("inf")], pa.float64(), [1, 2, 3]),
        ("float64", [1, 2**53, 2**53 + 1], pa.int64(), [2]),
        ("float32", [0.5, 0.1, float("nan")], pa.float64(), [1]),
        ("int64", ["12", " 7 ", "+3", "1.5", "1e3", "abc", "", "9" * 30], pa.string(), [3, 4, 5, 6, 7]),
        ("float64", ["1.5", "1e3", "x", ""], pa.string(), [2, 3]),
        ("decimal(6,2)", ["1.5", "1.50", "1.505", "99999", "x"], pa.string(), [2, 3, 4]),
        ("decimal(6,2)", [Decimal("1.500"), Decimal("1.505")], pa.decimal128(9, 3), [1]),
        ("date", ["2026-01-31", "2026-02-30", "2026-01-31 05:00:00", "soon"], pa.string(), [1, 2, 3]),
        ("date", [MIDNIGHT, MIDNIGHT.replace(hour=5)], pa.timestamp("us"), [1]),
        ("timestamp", [date(2026, 1, 31)], pa.date32(), []),
        ("bool", [0, 1, 2], pa.int64(), [2]),
        ("string", [1, None, -5], pa.int64(), []),
        ("string", ["a", "b", None], pa.dictionary(pa.int32(), pa.string()), []),
        ("string", ["a", None], pa.large_string(), []),
    ],
)
def test_a_value_has_its_type_if_casting_there_and_back_gives_it_again(
    tmp_path: Path, kind: str, values: list[Any], found: pa.DataType, bad: list[int]
) -> None:
    reasons = judged(one_column(kind), pa.table({"x": pa.array(values, found)}), tmp_path)
    assert [row for row, reason in enumerate(reasons) if reason] == bad
    assert all(reason.endswith(f" is no {kind}") for reason in reasons if reason)


@pytest.mark.parametrize(
    ("kind", "values", "found", "bad"),
    [
        ("list<int8>", [[1, None], None, [300], []], pa.list_(pa.int64()), [2]),
        ("list<float64>", [[0.1, math.nan]], pa.list_(pa.float32(), 2), []),
        ("list<string>", [["a", None], ["\0"]], pa.large_list(pa.large_string()), []),
        ("list<string>", [[None], []], pa.list_(pa.null()), []),
        ("list<list<int64>>", [[["1"], ["x"]], [["2"]]], pa.list_(pa.list_(pa.string())), [0]),
        ("struct<b: string, a: int32>", [{"a": 1, "b": "x"}, {"a": 2**40, "b": "y"}, None],
         pa.struct([("a", pa.int64()), ("b", pa.string())]), [1]),
        ('struct<"a.b": decimal(5, 2)>', [{"a.b": Decimal("1.50")}], pa.struct([("a.b", pa.decimal128(4, 1))]), []),
        ("map<string, int8>", [[("a", 1)], [("b", 200), ("c", None)]], pa.map_(pa.string(), pa.int64()), [1]),
    ],
)  # fmt: skip
def test_a_nested_value_has_its_type_if_all_within_it_do(
    tmp_path: Path, kind: str, values: list[Any], found: pa.DataType, bad: list[int]
) -> None:
    reasons = judged(one_column(kind), pa.table({"x": pa.array(values, found)}), tmp_path)
    assert [row for row, reason in enumerate(reasons) if reason.endswith(f" is no {kind}")] == bad
    assert [row for row, reason in enumerate(reasons) if reason == "x: holds a NUL character"] == [
        row for row, value in enumerate(values) if value == ["\0"]
    ]


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("list<int64>", "BIGINT"),
        ("int64", "BIGINT[]"),
        ("string", "BIGINT[]"),
        ("list<binary>", "BIGINT[]"),
        ("list<int64>", "BIGINT[][]"),
        ("struct<a: int64>", "STRUCT(a BIGINT, b BIGINT)"),
        ("struct<a: int64, b: int64>", "STRUCT(a BIGINT)"),
        ("map<string, int64>", "MAP(BLOB, BIGINT)"),
        ("list<struct<a: int64>>", "MAP(VARCHAR, BIGINT)"),
    ],
)
def test_another_shape_is_refused(kind: str, found: str) -> None:
    with pytest.raises(ContractError, match="cannot have its contract type") as refused:
        of_file(one_column(kind), "train", {"x": found})
    assert refused.value.facts["column"] == "x"


@settings(max_examples=30)
@given(st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=20))
def test_integers_are_never_rounded_on_their_way_to_float(
    tmp_path_factory: pytest.TempPathFactory, values: list[int | None]
) -> None:
    table = pa.table({"x": pa.array(values, pa.int64())})
    reasons = judged(one_column("float64"), table, tmp_path_factory.mktemp("t"))
    exact = [value is None or int(float(value)) == value for value in values]
    assert [not reason for reason in reasons] == exact


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"price": "DOUBLE[]"}, ["column:    price", "found:     list<float64>", "expected:  float64"]),
        ({"price": "BLOB"}, ["found:     binary"]),
        ({"ordered_on": "BIGINT"}, ["found:     int64", "expected:  date"]),
    ],
)
def test_a_column_that_can_never_fit_breaks_the_file(columns: dict[str, str], words: list[str]) -> None:
    with pytest.raises(ContractError) as refused:
        of_file(shop(), "train", {**found(), **columns})
    for word in words:
        assert word in str(refused.value)


def test_a_column_whose_name_differs_by_case_alone_is_another_column() -> None:
    assert of_file(shop(), "train", {**found(), "PRICE": "BLOB"}).unexpected == ("PRICE",)


def test_missing_columns_are_named_beside_those_there_are() -> None:
    columns = found()
    columns["prise"] = columns.pop("price")
    with pytest.raises(ContractError) as refused:
        of_file(shop(), "train", columns)
    assert "column:    price" in str(refused.value)
    assert "did you mean: prise?" in str(refused.value)


def test_a_name_with_a_comma_is_no_two_names() -> None:
    columns = {**SHOP["columns"], "доход, ₽": {"type": "int64"}}
    with pytest.raises(ContractError) as refused:
        of_file(shop(columns=columns), "train", {**found(), "ставка, %": "DOUBLE"})
    said = str(refused.value)
    assert 'column:    "доход, ₽"\n' in said
    assert 'expected:  "доход, ₽" int64\n' in said
    assert ', "ставка, %"' in said


def test_columns_of_the_other_stage_are_not_missed() -> None:
    columns = found()
    del columns["returned"]
    assert of_file(shop(), "predict", columns).unexpected == ()
    with pytest.raises(ContractError, match="lacks 1"):
        of_file(shop(), "train", columns)


def test_unexpected_columns_are_noted_or_refused() -> None:
    columns = {**found(), "colour": "VARCHAR"}
    assert of_file(shop(), "train", columns).unexpected == ("colour",)
    with pytest.raises(ContractError, match="does not know"):
        of_file(shop(unexpected_columns="error"), "train", columns)


def test_row_rules_hold_where_their_columns_are() -> None:
    task = shop(checks={"labelled": "returned is not null", "cheap": "price < 1000"})

    def rules(contract: Contract) -> set[str]:
        names = {rule.name for rule in contract.rules if not rule.quiet}
        return {name for name in names if name.startswith(("labelled", "cheap"))}

    assert len(rules(of_file(task, "train", found()))) == 2
    assert rules(of_file(task, "predict", found())) == {"cheap: breaks price < 1000"}


def found() -> dict[str, str]:
    """The example's columns as DuckDB describes a file that has them all."""
    kinds = {"int64": "BIGINT", "date": "DATE", "string": "VARCHAR", "float64": "DOUBLE", "bool": "BOOLEAN"}
    return {name: kinds[column["type"]] for name, column in SHOP["columns"].items()}


@given(st.sets(st.integers(0, 99)))
def test_bits_mark_just_the_rows(rows: set[int]) -> None:
    import numpy as np

    text = bits(np.array(sorted(rows), dtype=np.int64), 100)
    got = (
        sql.connect()
        .execute("select list(n) from range(100) t(n) where get_bit(?::BIT, n::INTEGER) = 1", [text])
        .fetchone()
    )
    assert got is not None
    assert set(got[0] or []) == rows
