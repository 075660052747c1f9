import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_assets.task import sql
from pipeline_assets.task.expressions import ExpressionError, read

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


@given(st.text(min_size=1, max_size=30).filter(lambda name: "\0" not in name and name.strip()))
def test_any_name_can_be_a_column_once_quoted(name: str) -> None:
    assert read(sql.name(name), {name: "BIGINT"}).columns == (name,)


@given(st.text(max_size=50).filter(lambda value: "\0" not in value))
def test_any_text_is_a_literal_once_quoted(value: str) -> None:
    row = sql.connect().execute(f"select {sql.text(value)}").fetchone()
    assert row == (value,)
