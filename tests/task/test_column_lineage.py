from pipeline_assets.demo.truth import demo_task
from pipeline_assets.task.column_lineage import Edge, columns
from tests.examples import shop


def test_the_way_of_every_column_of_a_task() -> None:
    found = columns(shop())
    assert list(found.nodes) == [
        "raw:order_id", "raw:ordered_on", "raw:country", "raw:price", "raw:note", "raw:returned",
        "feature:price", "feature:weekday", "feature:country", "feature:note",
        "label:label", "score:probability", "score:decision",
    ]  # fmt: skip
    assert set(found.edges) == {
        Edge("raw:price", "feature:price"),
        Edge("raw:ordered_on", "feature:weekday"),
        Edge("raw:country", "feature:country"),
        Edge("raw:note", "feature:note"),
        Edge("raw:returned", "label:label"),
        *(Edge(f"feature:{name}", "score:probability", by_model=True) for name in ("price", "weekday", "country")),
        Edge("feature:note", "score:probability", by_model=True),
        Edge("label:label", "score:probability", by_model=True),
        Edge("score:probability", "score:decision"),
    }


def test_a_path_goes_both_ways_and_no_further() -> None:
    found = columns(shop())
    assert found.upstream("feature:weekday") == {"raw:ordered_on"}
    assert found.downstream("feature:weekday") == {"score:probability", "score:decision"}
    assert found.path("feature:weekday") == {
        "raw:ordered_on", "feature:weekday", "score:probability", "score:decision"
    }  # fmt: skip
    assert found.edges_of("raw:ordered_on") == {
        Edge("raw:ordered_on", "feature:weekday"),
        Edge("feature:weekday", "score:probability", by_model=True),
        Edge("score:probability", "score:decision"),
    }
    assert found.path("raw:order_id") == {"raw:order_id"}
    assert found.upstream("score:decision") == set(found.nodes) - {"raw:order_id", "score:decision"}


def test_a_rule_over_raw_columns_leads_them_to_the_decision() -> None:
    found = columns(shop(output={"where": "probability > 0.5 and price > 10"}))
    assert Edge("raw:price", "score:decision") in found.edges
    # Without a rule every row is taken, and the decision is made of nothing.
    assert not columns(shop(output=None)).upstream("score:decision")


def test_a_feature_of_two_columns_and_columns_of_one_stage() -> None:
    found = columns(demo_task())
    assert found.upstream("feature:plane_age") == {"raw:flight_date", "raw:plane_year"}
    assert found.nodes["raw:arr_delay"].trained_only
    assert found.nodes["label:label"].expression == "arr_delay > 15"
