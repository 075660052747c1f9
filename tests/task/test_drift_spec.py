from pipeline_assets.task.drift_spec import WARN
from pipeline_assets.task.spec import TaskSpec
from tests.examples import shop


def test_a_column_has_its_own_limits_and_those_of_all_columns_where_it_gives_none() -> None:
    task = shop(monitoring={"drift": {"fail": 0.5, "features": {"price": {"warn": None}, "note": {"fail": 0.1}}}})
    for limits in (task.monitoring.drift, TaskSpec.model_validate(task.model_dump(mode="json")).monitoring.drift):
        assert (limits.of_feature("price").warn, limits.of_feature("price").fail) == (None, 0.5)
        assert (limits.of_feature("note").warn, limits.of_feature("note").fail) == (WARN, 0.1)
        assert (limits.of_feature("country").warn, limits.of_score("probability").fail) == (WARN, 0.5)
        assert limits.can_fail
    assert not shop().monitoring.drift.can_fail
    assert shop(monitoring={"drift": {"scores": {"probability": {"fail": 0.4}}}}).monitoring.drift.can_fail
