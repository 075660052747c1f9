"""A fingerprint changes with what was made under it, and with nothing else."""

from typing import Any

import pytest
import yaml

from pipeline_assets.task.fingerprints import SLICES
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
