from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_assets.task import expressions, sql
from pipeline_assets.task.expressions import Expression, ExpressionError, read, read_all, read_named

COLUMNS = {"dep": "BIGINT", "Delay": "DOUBLE", "carrier": "VARCHAR", "day": "DATE", "stops": "BIGINT[]"}


@pytest.mark.parametrize(
    ("expression", "columns", "kind"),
    [
        ("dep // 100", ("dep",), "BIGINT"),
        ("delay > 15", ("Delay",), "BOOLEAN"),
        ("carrier || '-' || dep", ("carrier", "dep"), "VARCHAR"),
        ("dep -- hour and minute", ("dep",), "BIGINT"),
        ("case when dep > 1 then 'late' end", ("dep",), "VARCHAR"),
        ("list_transform(stops, lambda x: x + dep)", ("stops", "dep"), "BIGINT[]"),
        ("1", (), "INTEGER"),
    ],
)
def test_reads_what_an_expression_uses_and_gives(expression: str, columns: tuple[str, ...], kind: str) -> None:
    found = read(expression, COLUMNS)
    assert (found.columns, found.type) == (columns, kind)


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("distanse", "no column distanse; there are dep, Delay, carrier, day, stops"),
        ("carier", "did you mean carrier?"),
        ("sum(dep)", "sum() looks at other rows"),
        ("count(*)", "looks at other rows"),
        ("row_number() over ()", "window functions look at other rows"),
        ("(select 1)", "subqueries look beyond the row"),
        ("random()", "random() gives another answer each time"),
        ("now()", "now() gives another answer each time"),
        ("age(day)", "counts from today"),
        ("current_date", "no column current_date"),
        ("*", "* stands for many columns"),
        ("?", "parameters"),
        ("dep) , (dep", "not one expression"),
        ("dep) from range(3) t(dep) where (true", "not one expression"),
        ("1; drop table x", "syntax error"),
        ("carrier + 1", "No function matches"),
        ("  ", "it is empty"),
    ],
)
def test_refuses_what_is_no_expression_over_one_row(expression: str, why: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        read(expression, COLUMNS)
    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("column", "expression"),
    [
        ("education-num", "education-num > 9"),
        ("default", "default = 1"),
        ("emp.var.rate", "emp.var.rate > 0"),
        ("Ставка, %", "Ставка, % > 0"),
        ("order", "case when order > 1 then 1 end"),
    ],
)
def test_a_name_that_sql_does_not_read_says_how_to_write_it(column: str, expression: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        read(expression, {**COLUMNS, column: "BIGINT"})
    assert f'write "{column}", in double quotes' in str(refused.value)
    assert read(f'"{column}" > 0', {column: "BIGINT"}).columns == (column,)


def test_a_cyrillic_name_in_another_case_is_another_and_says_which_was_meant() -> None:
    with pytest.raises(ExpressionError, match=r"no column цена; there are Цена; did you mean Цена\?"):
        read("цена > 0", {"Цена": "DOUBLE"})


def test_many_are_read_as_each_alone() -> None:
    many = ["dep // 100", "carrier + 1", "distanse", "sum(dep)", "delay > 15", "dep // 100"]
    found = read_all(many, COLUMNS)
    assert [isinstance(one, ExpressionError) for one in found] == [False, True, True, True, False, False]
    for expression, one in zip(many, found, strict=True):
        if isinstance(one, Expression):
            assert one == read(expression, COLUMNS)
        else:
            with pytest.raises(ExpressionError) as alone:
                read(expression, COLUMNS)
            assert str(one) == str(alone.value)
    with pytest.raises(ExpressionError, match="distanse"):
        read_named({"a": "dep", "b": "distanse"}, COLUMNS)


def test_the_work_grows_with_the_number_of_columns_and_not_with_its_square(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    ask = expressions._ask

    def counting(statement: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        asked.append(len(statement))
        return ask(statement, parameters)

    monkeypatch.setattr(expressions, "_ask", counting)

    def work(count: int) -> tuple[int, int]:
        """How many statements DuckDB gets for so many columns, and how long they are together."""
        asked.clear()
        columns = {f"c{count}_{at:05}": "DOUBLE" for at in range(count)}
        read_all([f"{name} * 2" for name in columns], columns)
        return len(asked), sum(asked)

    statements, characters = work(500)
    twice_statements, twice_characters = work(1000)
    assert twice_statements == 2 * statements
    assert statements <= 500 / 20
    assert twice_characters < 2.2 * characters
    asked.clear()
    columns = {f"c1000_{at:05}": "DOUBLE" for at in range(1000)}
    read_all([f"{name} * 2" for name in columns], columns)
    assert not asked, "what was read before is remembered"


@given(st.text(min_size=1, max_size=30).filter(lambda name: "\0" not in name and name.strip()))
def test_any_name_can_be_a_column_once_quoted(name: str) -> None:
    assert read(sql.name(name), {name: "BIGINT"}).columns == (name,)


@given(st.text(max_size=50).filter(lambda value: "\0" not in value))
def test_any_text_is_a_literal_once_quoted(value: str) -> None:
    row = sql.connect().execute(f"select {sql.text(value)}").fetchone()
    assert row == (value,)
