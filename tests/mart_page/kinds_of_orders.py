"""Tasks of every kind over the example's orders: what becomes of an order, how much is paid back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.trainers.base import Fit
from pipeline_assets.task.spec import TaskSpec
from tests.examples import SHOP, orders, shop, with_column
from tests.ml.third_party import KIND, Logistic, LogisticTrainer

if TYPE_CHECKING:
    import pandas as pd

FATES = ("kept", "returned", "<b>lost</b>")
_TARGETS = {
    "fate": {"type": "string", "nullable": True, "stage": "train"},
    "refund": {"type": "float64", "nullable": True, "stage": "train"},
}
_COLUMNS = {**{name: each for name, each in SHOP["columns"].items() if name != "returned"}, **_TARGETS}


@dataclass(frozen=True)
class Silent(Logistic):
    """A model whose package cannot say what each feature adds."""

    explains: bool = False

    def contributions(self, frame: "pd.DataFrame", of: int = 0) -> NDArray[np.float64]:
        raise NotImplementedError

    def predict(self, frame: "pd.DataFrame") -> NDArray[np.float64]:
        return np.asarray(1 / (1 + np.exp(-super().contributions(frame).sum(axis=1))))


class SilentTrainer(LogisticTrainer):
    """Fits such models."""

    package: str = "tests.mart_page.kinds_of_orders:SilentTrainer"

    def restore(self, native: Any, classes: tuple[str, ...] = ()) -> Silent:
        return Silent(native, classes=classes)

    def refit(self, task: TaskSpec, rows: LabelledRows, fit: Fit) -> Silent:
        return Silent(super().refit(task, rows, fit).native)


def tasks() -> dict[str, TaskSpec]:
    """One task per kind: several classes; a number, whose logarithm is learned; a third party's kind and package."""
    targets: Mapping[str, dict[str, Any]] = {
        "fates": {"target": {"expression": "fate", "kind": "multiclass", "description": "What became of the order"}},
        "refunds": {
            "target": {
                "expression": "refund", "kind": "regression", "transform": "log1p", "description": "Paid back, euros",
            },
            "output": {"where": "prediction > 20"},
        },
        "churn": {
            "target": {"expression": "fate", "kind": KIND, "positive": "returned"},
            "training": {"package": SilentTrainer.package, "validation": {"split": "time", "column": "ordered_on"}},
        },
    }  # fmt: skip
    return {name: shop(name=name, columns=_COLUMNS, **{"output": None, **changes}) for name, changes in targets.items()}


def fated(count: int, *, stage: str = "train", factor: float = 1.0) -> pa.Table:
    """Orders whose country and price decide what becomes of them; every tenth is not known.

    Args:
        count: of orders.
        stage: the labels are in train alone.
        factor: of the prices.
    """
    table = orders(count, stage="predict")
    prices = [factor * price for price in table["price"].to_pylist()]
    table = with_column(table, "price", prices)
    if stage != "train":
        return table
    rng = np.random.default_rng(1)
    fates, refunds = [], []
    for row, (country, price) in enumerate(zip(table["country"].to_pylist(), prices, strict=True)):
        place = ("DE", "FR", "RU").index(country) if rng.random() < 0.8 else int(rng.integers(3))
        fates.append(None if row % 10 == 9 else FATES[place])
        refunds.append(None if row % 10 == 9 else round(price * (0.2 + place) / 2 + float(rng.random()), 2))
    return with_column(with_column(table, "fate", fates), "refund", refunds)
