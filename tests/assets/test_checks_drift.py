"""What the checks of drift say of a batch."""

from typing import Any

from pipeline_assets.assets.checks_drift import judged


def row(**more: Any) -> dict[str, Any]:
    return {
        "role": "feature", "column_name": "income", "distance": 0.025, "chance": 0.082, "verdict": "ok",
        "warn_from": 0.01, "fail_from": 0.02, "row_count": 1498, "reference_rows": 900, "model_version": 1, **more,
    }  # fmt: skip


def test_a_distance_beyond_a_limit_that_passes_is_said_to_be_within_chance() -> None:
    found = judged([row()])
    assert found.passed
    assert str(found.description).endswith(
        "income (distance 0.025, within chance: samples of 900 and 1,498 rows differ by up to 0.082)"
    )
    only_fails = judged([row(warn_from=None)])
    assert "within chance" in str(only_fails.description)


def test_a_distance_below_the_limit_names_the_limit() -> None:
    found = judged([row(distance=0.005)])
    assert str(found.description).endswith("income (distance 0.005, warns from 0.01 on)")


def test_a_column_that_drifted_names_the_limit_that_it_reached() -> None:
    found = judged([row(distance=0.3, verdict="fail")])
    assert not found.passed
    assert str(found.description).endswith("income (distance 0.300, fails from 0.02 on)")
