from pipeline_assets.task.monitoring_spec import WARN, DriftLimits
from tests.examples import shop


def test_a_column_has_its_own_limits_and_those_of_all_columns_where_it_gives_none() -> None:
    drift = shop(monitoring={"drift": {"fail": 0.5, "features": {"price": {"warn": None}, "note": {"fail": 0.1}}}})
    limits = drift.monitoring.drift
    assert limits.of_feature("price") == DriftLimits.model_construct(warn=None, fail=0.5)
    assert limits.of_feature("note") == DriftLimits.model_construct(warn=WARN, fail=0.1)
    assert limits.of_feature("country") == limits.of_score("probability") == DriftLimits(fail=0.5)
    assert limits.can_fail
    assert not shop().monitoring.drift.can_fail
    assert shop(monitoring={"drift": {"scores": {"probability": {"fail": 0.4}}}}).monitoring.drift.can_fail
