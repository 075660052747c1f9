"""The columns of the mart of quality: a metric and its baseline each, whatever the kind."""

import pytest

from pipeline_assets.stores.marts.quality import metric_columns, quality
from pipeline_assets.task import plugins
from pipeline_assets.task.judged_metrics import judged_metrics
from tests.examples import shop
from tests.mart_page.kinds_of_orders import tasks


@pytest.mark.parametrize("name", ["shop", *tasks()])
def test_every_metric_of_the_kind_has_a_column_and_one_of_its_baseline(name: str) -> None:
    task = {"shop": shop(), **tasks()}[name]
    table = quality(task)
    for metric, (own, baseline) in metric_columns(task).items():
        assert (own, baseline) == (metric, f"baseline_{metric}")
        better = "more" if judged_metrics(task.target.kind)[metric] else "less"
        assert table.column_descriptions[own] == f"{metric} of the predictions; {better} is better"
    assert all(table.column_descriptions[each] for each in table.schema.names)
    assert not table.by_batch  # it stays when the batch goes
    assert ("precision" in table.schema.names) == (plugins.kind(task.target.kind).objective == "binary")


def test_a_metric_that_is_called_as_another_column_gets_a_name_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = plugins.kind("regression")
    monkeypatch.setattr(kind, "metrics", {"batch": True, **kind.metrics}, raising=False)
    task = tasks()["refunds"]
    assert metric_columns(task)["batch"] == ("pipeline_batch", "baseline_batch")
    assert len(set(quality(task).schema.names)) == len(quality(task).schema.names)
