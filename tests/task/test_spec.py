from typing import Any

import pytest
from pydantic import ValidationError

from pipeline_assets.task.spec import TaskSpec
from pipeline_assets.task.validation import CheckedTask
from tests.examples import SHOP, shop


def problems(**changes: Any) -> dict[tuple[Any, ...], str]:
    """Message by place of everything wrong with the changed task."""
    with pytest.raises(ValidationError) as refused:
        CheckedTask.model_validate({**SHOP, **changes})
    return {problem["loc"]: problem["msg"] for problem in refused.value.errors()}


def columns(**changes: Any) -> dict[str, Any]:
    return {**SHOP["columns"], **changes}


def test_the_example_is_a_task() -> None:
    task = shop()
    assert task.features.names == ("price", "weekday", "country", "note")
    assert task.features.all["note"].description == "Spelled small"
    assert list(task.columns_of("predict")) == ["order_id", "ordered_on", "country", "price", "note"]


def test_an_unknown_key_is_named_with_the_known_ones() -> None:
    found = problems(colums={})
    assert "there are name, description" in found["colums",]
    assert "did you mean columns?" in found["colums",]


def test_an_unknown_key_deep_inside_has_its_place() -> None:
    found = problems(columns=columns(price={"type": "float64", "chek": "price > 0"}))
    assert "did you mean check?" in found["columns", "price", "chek"]


def test_all_problems_come_at_once() -> None:
    found = problems(
        key=["order"],
        columns=columns(
            price={"type": "float64", "check": "prise > 0"}, country={"type": "int64", "allowed": [1, "x"]}
        ),
        target={"expression": "price"},
        features={"numeric": {"returned": "returned", "random": "random()"}},
        training={"validation": {"split": "time", "column": "day"}},
        output={"where": "probability", "select": {"batch": "1", "nothing": "nothing"}},
    )
    assert "did you mean order_id?" in found["key",]
    assert "did you mean price?" in found["columns", "price", "check"]
    assert "'x' is no int64" in found["columns", "country", "allowed"]
    assert "it must be true or false" in found["target", "expression"]
    assert "only in train files" in found["features", "numeric", "returned"]
    assert "another answer each time" in found["features", "numeric", "random"]
    assert "no column day" in found["training", "validation", "column"]
    assert "it must be true or false" in found["output", "where"]
    assert "row address is always there" in found["output", "select", "batch"]
    assert "no column nothing" in found["output", "select", "nothing"]


@pytest.mark.parametrize(
    ("changes", "place", "message"),
    [
        ({"name": "Shop 1"}, ("name",), "1 to 40 of a-z"),
        ({"columns": columns(__b={"type": "string"})}, ("columns", "__b", "[key]"), "the pipeline's own"),
        ({"columns": columns(**{"a\tb": {"type": "string"}})}, ("columns", "a\tb", "[key]"), "use a name without"),
        ({"columns": columns(**{"a\0b": {"type": "string"}})}, ("columns", "a\0b", "[key]"), "control character"),
        ({"columns": columns(predicted_at={"type": "date"})}, ("columns", "predicted_at"), "rename it in the file"),
        ({"columns": columns(choice_reason={"type": "string"})}, ("columns", "choice_reason"), "rename it in the file"),
        ({"columns": columns(File_Index={"type": "string"})}, ("columns", "File_Index"), "reader of files needs"),
        (
            {"columns": columns(feature_price={"type": "float64"})},
            ("features", "numeric", "price"),
            "which is a raw column; call the feature otherwise",
        ),
        (
            {"columns": columns(country={"type": "string", "allowed": ["DE", False]})},
            ("columns", "country", "allowed"),
            'quote it, as in "no"',
        ),
        (
            {"columns": columns(country={"type": "string", "allowed": ["DE", None]})},
            ("columns", "country", "allowed"),
            "nullable: true allows it",
        ),
        (
            {"features": {"numeric": {"price\nin euros": "price"}}},
            ("features", "numeric", "price\nin euros", "[key]"),
            "use a name without",
        ),
        ({"features": {"numeric": {"year": "2023"}}}, ("features", "numeric", "year"), "the same in every row"),
        ({"features": {"categorical": {"de": "'DE'"}}}, ("features", "categorical", "de"), "the same in every row"),
        ({"features": {"numeric": {"p": "PRICÉ"}}}, ("features", "numeric", "p"), "did you mean price?"),
        ({"columns": columns(price={"type": "flot64"})}, ("columns", "price", "type"), "did you mean float64?"),
        ({"columns": columns(Price={"type": "float64"})}, ("columns", "Price"), "differs from price by case alone"),
        (
            {"columns": columns(Price={"type": "float64"})},
            ("columns", "Price"),
            "leave one of them out",
        ),
        ({"columns": columns(order_id={"type": "int64", "nullable": True})}, ("key",), "never null"),
        ({"columns": columns(order_id={"type": "list<int64>"})}, ("key",), "a key's column is one value"),
        (
            {"columns": columns(tags={"type": "list<string>", "allowed": ["a"]})},
            ("columns", "tags", "allowed"),
            'len("tags") > 0',
        ),
        (
            {"columns": columns(ordered_on={"type": "struct<day: date>"})},
            ("training", "validation", "column"),
            "which has no order",
        ),
        (
            {"columns": columns(ordered_on={"type": "binary"})},
            ("training", "validation", "column"),
            "which has no order",
        ),
        (
            {
                "columns": columns(tags={"type": "map<string, float64>"}),
                "features": {"categorical": {"tags": "tags"}},
            },
            ("features", "categorical", "tags"),
            "a feature is one value, as in x[1]",
        ),
        ({"columns": columns(tags={"type": "list<flot64>"})}, ("columns", "tags", "type"), "did you mean float64?"),
        ({"checks": {"odd": "price"}}, ("checks", "odd"), "it must be true or false"),
        ({"target": {"expression": "true"}}, ("target", "expression"), "uses no column"),
        ({"features": {}}, ("features",), "at least one feature"),
        (
            {"features": {"numeric": {"a": "price"}, "categorical": {"A": "note"}}},
            ("features",),
            "numeric and categorical",
        ),
        ({"features": {"numeric": {"note": "note"}}}, ("features", "numeric", "note"), "VARCHAR, which is no number"),
        ({"training": {"validation": {"split": "time"}}}, ("training", "validation"), "needs column"),
        ({"output": {"append": ["decision"]}}, ("output", "append"), "no column decision, which needs output.where"),
        ({"output": {"append": ["probabilty"]}}, ("output", "append"), "did you mean probability?"),
        ({"output": {"select": {"kept": "decision"}}}, ("output", "select", "kept"), "no column decision"),
        ({"training": {"weight": "note"}}, ("training", "weight"), "gives VARCHAR; a weight is a number"),
        ({"training": {"weight": "prise"}}, ("training", "weight"), "did you mean price?"),
        ({"training": {"weight": "2"}}, ("training", "weight"), "every row would weigh the same"),
        ({"training": {"threshold": 2}}, ("training", "threshold", "number"), "less than or equal to 1"),
        ({"training": {"threshold": {}}}, ("training", "threshold", "goal"), "give one of goal, precision"),
        (
            {"training": {"threshold": {"recall": 0.5, "precision": 0.5}}},
            ("training", "threshold", "goal"),
            "found precision, recall",
        ),
        (
            {"training": {"threshold": {"precisoin": 0.5}}},
            ("training", "threshold", "goal", "precisoin"),
            "did you mean precision?",
        ),
        (
            {"training": {"threshold": {"gain": {"true_positive": 1, "false_negative": 1}}}},
            ("training", "threshold", "goal", "gain"),
            "worth the same",
        ),
        ({"training": {"validation": {"folds": 5}}}, ("training", "validation"), "goes with split: folds"),
        (
            {"training": {"validation": {"split": "folds", "folds": 1}}},
            ("training", "validation", "folds"),
            "or equal to 2",
        ),
        ({"training": {"validation": {"split": "folds"}, "refit": False}}, ("training",), "needs refit: true"),
        ({"training": {"metric": "accuracy"}}, ("training", "metric"), "the kind has roc_auc"),
        ({"training": {"parameters": {"depht": 3}}}, ("training", "parameters", "depht"), "did you mean: depth?"),
        ({"selection": {"policy": "best"}}, ("selection", "policy"), "'champion', 'best_metric', 'latest'"),
        ({"selection": {"policy": "latest", "version": 3}}, ("selection",), "come together"),
        ({"monitoring": {"drift": {"warn": 0}}}, ("monitoring", "drift", "warn"), "greater than 0"),
        (
            {"monitoring": {"drift": {"features": {"prise": {"fail": 0.3}}}}},
            ("monitoring", "drift", "features", "prise"),
            "did you mean price?",
        ),
        (
            {"monitoring": {"drift": {"scores": {"prediction": {"fail": 0.3}}}}},
            ("monitoring", "drift", "scores", "prediction"),
            "there are probability, predicted_label",
        ),
        ({"limits": {"rejected_share": 2}}, ("limits", "rejected_share"), "less than or equal to 1"),
    ],
)
def test_a_mistake_is_refused_at_its_place(changes: dict[str, Any], place: tuple[str, ...], message: str) -> None:
    found = problems(**changes)
    assert message in found[place]


@pytest.mark.parametrize(
    "name",
    ["label", "reason", "batch", "row_number", "probability", "decision", "run_id", "xmin", "Ставка, %", "очень" * 20],
)
def test_a_user_names_columns_and_features_as_they_are_called(name: str) -> None:
    task = shop(
        columns=columns(**{name: {"type": "float64"}}),
        features={"numeric": {name: f'"{name}"'}, "categorical": {"country": "country"}},
    )
    assert name in task.columns
    assert task.features.names[0] == name


def test_a_version_alone_pins_it() -> None:
    selection = shop(selection={"version": 3}).selection
    assert (selection.policy, selection.version) == ("version", 3)


def test_a_row_rule_may_hold_in_one_stage_alone() -> None:
    assert shop(checks={"labelled": "returned is not null"}).checks


def test_the_json_schema_knows_the_short_form_of_a_feature() -> None:
    features = TaskSpec.model_json_schema()["$defs"]["Features"]["properties"]["numeric"]
    assert {"type": "string"} in features["additionalProperties"]["anyOf"]


def test_a_limit_of_quality_is_of_a_metric_that_there_is() -> None:
    with pytest.raises(ValidationError) as refused:
        shop(monitoring={"truth": {"fail": {"roc_auc": 0.6, "precision": 0.2}, "warn": {"rocauc": 0.7}}})
    (problem,) = refused.value.errors()
    assert problem["loc"] == ("monitoring", "truth", "warn", "rocauc")
    assert "no such metric; predictions are judged by precision, recall, roc_auc" in problem["msg"]
    assert "did you mean roc_auc?" in problem["msg"]
