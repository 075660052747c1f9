"""Tasks as ``task new`` drafts them, run untouched: as good as CatBoost used by hand on all the rows."""

from pathlib import Path

import pytest

from benchmarks import quality

ROWS = 4_000


@pytest.mark.server
@pytest.mark.parametrize("name", ["breast_cancer", "diamonds_cut", "diamonds_price"])
def test_a_drafted_task_is_as_good_as_the_package_by_hand(name: str, tmp_path: Path) -> None:
    pytest.importorskip("lightgbm", reason="LightGBM is not installed: make trainers")
    found = quality.measure(quality.tables()[name]().sample(ROWS), tmp_path)
    assert found.ours < found.constant
    assert found.worse_than("catboost") <= quality.TOLERANCE
