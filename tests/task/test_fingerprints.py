"""A fingerprint changes with what was made under it, and with nothing else."""

from typing import Any

import pytest
import yaml

from pipeline_assets.task.fingerprints import SLICES, check_fingerprints, feature_fingerprints
from pipeline_assets.task.validation import CheckedTask

RETURNS = """
name: returns
key: [order_id]
columns:
  order_id: {type: int64}
  price: {type: 'decimal(12, 2)', check: price > 0}
  country: {type: string}
  returned: {type: bool, nullable: true, stage: train}
target: {expression: returned}
features:
  numeric: {price: price}
  categorical: {country: country}
"""


def changed(**edits: Any) -> set[str]:
    """The slices whose fingerprint an edit changes; ``a__b=value`` sets key ``b`` of ``a``."""
    data = yaml.safe_load(RETURNS)
    before = CheckedTask.model_validate(data)
    for path, value in edits.items():
        *keys, last = path.split("__")
        place = data
        for key in keys:
            place = place.setdefault(key, {})
        place[last] = value
    after = CheckedTask.model_validate(data)
    return {which for which in SLICES if before.fingerprint(which) != after.fingerprint(which)}


# Of the task above, before descriptions had weights, thresholds and folds.
FORMER = {
    "contract": "90b08a22e8c67ce9",
    "features": "5fc91c2a8cdfce20",
    "target": "2e694720fe1cd0e9",
    "training": "1f29da6d8efc9ee3",
    "selection": "18aad25792bbac17",
    "output": "43db1af5b155fc0a",
}
RESTS_ON_FEATURES = {"features", "training", "selection"}


@pytest.mark.parametrize(
    ("edits", "slices"),
    [
        ({"description": "Who sends it back?"}, set()),
        ({"owners": ["team:shop"], "tags": {"a": "b"}}, set()),
        ({"columns__price__description": "In euros"}, set()),
        ({"target__description": "Came back"}, set()),
        ({"features__numeric__price": {"expression": " price ", "description": "In euros"}}, set()),
        ({"columns__price__type": "decimal(12,2)"}, set()),
        ({"columns__price__check": "price > 1"}, {"contract"}),
        ({"checks__sane": "price < 1000"}, {"contract"}),
        ({"features__numeric__price": "price * 100"}, RESTS_ON_FEATURES),
        ({"columns__price__type": "float64"}, {"contract", "output", *RESTS_ON_FEATURES}),
        ({"columns__order_id__type": "int32"}, {"contract", "output"}),
        ({"target__expression": "not returned"}, {"target", "training", "selection"}),
        ({"training__seed": 1}, {"training"}),
        ({"training__weight": "price"}, {"training"}),
        ({"selection__policy": "latest"}, {"selection"}),
        ({"output__where": "probability > 0.5"}, {"output"}),
    ],
)
def test_an_edit_changes_the_fingerprints_of_what_rests_on_it(edits: dict[str, Any], slices: set[str]) -> None:
    assert changed(**edits) == slices


def test_columns_written_in_another_order_are_the_same_contract() -> None:
    data = yaml.safe_load(RETURNS)
    other = {**data, "columns": dict(reversed(data["columns"].items()))}
    for which in SLICES:
        assert CheckedTask.model_validate(data).fingerprint(which) == CheckedTask.model_validate(other).fingerprint(
            which
        )


def test_features_of_another_order_are_others() -> None:
    data = yaml.safe_load(RETURNS)
    data["features"]["numeric"] = {"a": "price", "b": "order_id"}
    other = {**data, "features": {**data["features"], "numeric": {"b": "order_id", "a": "price"}}}
    assert CheckedTask.model_validate(data).fingerprint("features") != CheckedTask.model_validate(other).fingerprint(
        "features"
    )


def test_rows_rest_on_the_weight_in_train_alone_and_only_where_there_is_one() -> None:
    data = yaml.safe_load(RETURNS)
    plain = CheckedTask.model_validate(data)
    assert set(feature_fingerprints(plain, "train")) == {"contract", "features", "target"}
    assert set(check_fingerprints(plain, "train")) == {"contract"}
    one, two = (CheckedTask.model_validate({**data, "training": {"weight": each}}) for each in ("price", "price * 2"))
    for made_of in (feature_fingerprints, check_fingerprints):
        assert made_of(one, "train")["weight"] != made_of(two, "train")["weight"]
        assert made_of(one, "predict") == made_of(two, "predict") == made_of(plain, "predict")


def test_a_key_that_a_task_does_not_use_changes_no_fingerprint() -> None:
    """As they were before weights, thresholds and folds: versions of those days go on predicting."""
    task = CheckedTask.model_validate(yaml.safe_load(RETURNS))
    assert {which: task.fingerprint(which) for which in SLICES} == FORMER
