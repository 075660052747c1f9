"""The pipeline's own columns step aside for a user's."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline_assets.task.names import listed, own_name

NAMES = st.sampled_from(["label", "LABEL", "pipeline_label", "Pipeline_Label", "pipeline_pipeline_label", "price"])


@given(st.lists(NAMES))
def test_an_own_name_is_never_a_users(taken: list[str]) -> None:
    assert own_name("label", taken).lower() not in {name.lower() for name in taken}


def test_a_thousand_names_are_no_sentence() -> None:
    said = listed(f"column_{at}" for at in range(1000))
    assert said.startswith("column_0, column_1, ")
    assert said.endswith(", column_49 and 950 more")
